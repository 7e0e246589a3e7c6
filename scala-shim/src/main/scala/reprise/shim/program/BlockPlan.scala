package reprise.shim.program

import scala.collection.mutable

import org.apache.spark.{TaskContext, TaskKilledException}
import org.apache.spark.broadcast.Broadcast

import reprise.shim.block.{Block, BlockForm, Chunk, DenseBlock, SingleBlock, SparseBlock, WholeBlock}
import reprise.shim.ops._

/** Where a kernel finds an operand in a task. */
sealed trait Ref extends Serializable
object Ref {
  /** A slot of the chunk. */
  final case class Slot(index: Int) extends Ref
  /** The result of an earlier step on this chunk. */
  final case class Step(index: Int) extends Ref
  /** A whole host value. */
  final case class Whole(value: HostRef) extends Ref
  /** The chunk's rows of a whole host value. */
  final case class Rows(value: HostRef) extends Ref
}

/** A host value: in the pass's own broadcast, or in one that programs share. */
sealed trait HostRef extends Serializable
object HostRef {
  final case class Own(index: Int) extends HostRef
  final case class Shared(index: Int) extends HostRef
}

final class HostValues(own: Broadcast[Array[Block]], shared: Array[Broadcast[Block]]) extends Serializable {
  /** A task's own. */
  @transient private lazy val expanded = mutable.Map[HostRef, Block]()

  /** All of it, expanded at most once a task. */
  def whole(ref: HostRef): Block = expanded.getOrElseUpdate(ref, DenseOnce.of(apply(ref)))

  def apply(ref: HostRef): Block = ref match {
    case HostRef.Own(index) => own.value(index)
    case HostRef.Shared(index) => shared(index).value
  }
}

final case class Step(kernel: Kernel, operands: Array[Ref])

/** A reduction; with `ends`, each run of rows up to the next end is reduced separately. */
final case class Sink(kernel: ReduceKernel, operands: Array[Ref], ends: Array[Long])

/** What one pass computes on each chunk: steps in order, then sinks, gathered and kept values. */
final class BlockPlan(
    val steps: Array[Step],
    val sinks: Array[Sink],
    val gathers: Array[Ref],
    val kept: Array[Ref],
    host: HostValues,
    /** Most rows evaluated at once: below those read where data are narrow and a result is wide. */
    val pieceRows: Int)
    extends Serializable {

  /** The values of one chunk. */
  final class Values(chunk: Chunk) {
    private val views = chunk.slots.map(DenseOnce.of)
    private val results = new Array[Block](steps.length)

    {
      var i = 0
      while (i < steps.length) {
        results(i) = steps(i).kernel match {
          case source: SourceKernel => DenseOnce.of(source.block(chunk.startRow, chunk.rows))
          case map: MapKernel => DenseOnce.of(map(operands(steps(i).operands), chunk.startRow))
          case _ => throw new IllegalStateException("block plan: expected a map, got a reduction or a move")
        }
        i += 1
      }
    }

    def operands(refs: Array[Ref]): Array[Block] = refs.map(apply)

    def apply(ref: Ref): Block = ref match {
      case Ref.Slot(index) => views(index)
      case Ref.Step(index) => results(index)
      case Ref.Whole(ref) => host.whole(ref)
      case Ref.Rows(ref) =>
        DenseOnce.of(host(ref).sliceRows(chunk.startRow.toInt, (chunk.startRow + chunk.rows).toInt))
    }

    /** As it is kept: a slot stays in its compact form, and what is mostly zeros gets one. */
    def keep(ref: Ref): Block = ref match {
      case Ref.Slot(index) => chunk.slots(index)
      case other =>
        apply(other) match {
          case once: DenseOnce if !once.inner.isInstanceOf[WholeBlock] => once.inner
          case block => BlockForm.of(block.plain)
        }
    }
  }

  /** Spark stops a cancelled task only where it looks: here, between pieces. */
  private def cancellable(chunks: Iterator[Chunk]): Iterator[Chunk] = {
    val task = TaskContext.get()
    chunks.flatMap(_.pieces(pieceRows)).map { chunk =>
      if (task != null && task.isInterrupted()) throw new TaskKilledException("cancelled")
      chunk
    }
  }

  /** Chunks that hold the kept values only, cut as `layout` says. */
  def keepAll(chunks: Iterator[Chunk]): Iterator[Chunk] = cancellable(chunks).map { chunk =>
    val values = new Values(chunk)
    new Chunk(chunk.startRow, chunk.rows, kept.map(values.keep))
  }

  /** How the rows lie that `keepAll` makes of rows that lie so. */
  def layout(read: Layout): Layout =
    if (read.chunkRows <= pieceRows) read
    else Layout(s"${read.key}/$pieceRows", read.rows, pieceRows)

  /** One partition's share of the pass. */
  def fold(chunks: Iterator[Chunk]): PartialResult = {
    val folds = sinks.map(sink => new SinkFold(sink))
    val gathered = gathers.map(_ => Vector.newBuilder[(Long, WholeBlock)])
    val bytes = new Array[Long](64)
    var rows = 0L
    cancellable(chunks).foreach { chunk =>
      val values = new Values(chunk)
      var i = 0
      while (i < folds.length) {
        folds(i).add(values.operands(sinks(i).operands), chunk)
        i += 1
      }
      i = 0
      while (i < gathers.length) {
        gathered(i) += ((chunk.startRow, values(gathers(i)).plain))
        i += 1
      }
      i = 0
      while (i < math.min(chunk.slots.length, bytes.length)) {
        bytes(i) += chunk.slots(i).bytes
        i += 1
      }
      rows += chunk.rows
    }
    PartialResult(folds.map(_.result), gathered.map(_.result().toArray), bytes, rows)
  }
}

/** One reduction over a partition's chunks; by part where parts are wanted. */
private final class SinkFold(sink: Sink) {
  private val done = Array.newBuilder[(Int, DenseBlock)]
  private var part = 0
  private var open: Option[Accumulator] = if (sink.ends.isEmpty) Some(sink.kernel.start()) else None

  def add(operands: Array[Block], chunk: Chunk): Unit =
    if (sink.ends.isEmpty) open.get.add(operands, chunk.startRow)
    else {
      var from = 0
      while (from < chunk.rows) {
        val row = chunk.startRow + from
        if (open.isEmpty || row >= sink.ends(part)) {
          close()
          part = sink.ends.indexWhere(_ > row)
          open = Some(sink.kernel.start())
        }
        val until = math.min(chunk.rows.toLong, sink.ends(part) - chunk.startRow).toInt
        open.get.add(if (until - from == chunk.rows) operands else rowsOf(operands, from, until), row)
        from = until
      }
    }

  /** By part. */
  def result: Array[(Int, DenseBlock)] = {
    close()
    done.result()
  }

  private def close(): Unit = {
    open.foreach(accumulator => done += ((part, accumulator.value)))
    open = None
  }

  private def rowsOf(operands: Array[Block], from: Int, until: Int): Array[Block] =
    operands.indices.map { i =>
      sink.operands(i) match {
        case Ref.Whole(_) => operands(i)
        case _ => operands(i).sliceRows(from, until)
      }
    }.toArray
}

/** What a task sends back; sinks by part, all of a sink without parts being part 0. */
final case class PartialResult(
    sinks: Array[Array[(Int, DenseBlock)]], gathered: Array[Array[(Long, WholeBlock)]], slotBytes: Array[Long], rows: Long)

/** A compact block that is expanded at most once while one chunk is worked on. */
final class DenseOnce(val inner: Block) extends Block {
  def rows: Int = inner.rows
  def cols: Int = inner.cols
  lazy val dense: DenseBlock = inner.dense
  private val isSingle = inner.isInstanceOf[SingleBlock]
  override def compact: Block = inner
  override def plain: WholeBlock = if (isSingle) inner.plain else dense
  override def sparse: Option[SparseBlock] = inner.sparse
  def bytes: Long = inner.bytes
  def addRows(order: Array[Int], from: Int, until: Int, out: Array[Double], at: Int, stride: Int): Unit =
    (if (isSingle) dense else inner).addRows(order, from, until, out, at, stride)
}

object DenseOnce {
  def of(block: Block): Block = if (block.isInstanceOf[DenseBlock]) block else new DenseOnce(block)
}
