package reprise.shim.program

import org.apache.spark.{TaskContext, TaskKilledException}
import org.apache.spark.broadcast.Broadcast

import reprise.shim.block.{Block, Chunk, DenseBlock}
import reprise.shim.ops._

/** Where a kernel finds an operand in a task. */
sealed trait Ref extends Serializable
object Ref {
  /** A slot of the chunk. */
  final case class Slot(index: Int) extends Ref
  /** The result of an earlier step on this chunk. */
  final case class Step(index: Int) extends Ref
  /** A whole host value. */
  final case class Whole(index: Int) extends Ref
  /** The chunk's rows of a whole host value. */
  final case class Rows(index: Int) extends Ref
}

final case class Step(kernel: Kernel, operands: Array[Ref])
final case class Sink(kernel: ReduceKernel, operands: Array[Ref])

/** What one pass computes on every chunk: steps in order, then the sinks folded, the gathered and the kept. */
final class BlockPlan(
    val steps: Array[Step],
    val sinks: Array[Sink],
    val gathers: Array[Ref],
    val kept: Array[Ref],
    host: Broadcast[Array[DenseBlock]])
    extends Serializable {

  /** The values of one chunk. */
  final class Values(chunk: Chunk) {
    private val views = chunk.slots.map(slot => if (slot.isInstanceOf[DenseBlock]) slot else new DenseOnce(slot))
    private val results = new Array[Block](steps.length)

    {
      var i = 0
      while (i < steps.length) {
        results(i) = steps(i).kernel match {
          case source: SourceKernel => source.block(chunk.startRow, chunk.rows)
          case map: MapKernel => map(operands(steps(i).operands), chunk.startRow)
          case _: ReduceKernel => throw new IllegalStateException("block plan: expected a map, got a reduction")
        }
        i += 1
      }
    }

    def operands(refs: Array[Ref]): Array[Block] = refs.map(apply)

    def apply(ref: Ref): Block = ref match {
      case Ref.Slot(index) => views(index)
      case Ref.Step(index) => results(index)
      case Ref.Whole(index) => host.value(index)
      case Ref.Rows(index) =>
        host.value(index).sliceRows(chunk.startRow.toInt, (chunk.startRow + chunk.rows).toInt)
    }

    /** As it is kept: a slot stays in its compact form. */
    def keep(ref: Ref): Block = ref match {
      case Ref.Slot(index) => chunk.slots(index)
      case other => apply(other)
    }
  }

  /** Spark stops a cancelled task only where it looks: here, between chunks. */
  private def cancellable(chunks: Iterator[Chunk]): Iterator[Chunk] = {
    val task = TaskContext.get()
    chunks.map { chunk =>
      if (task != null && task.isInterrupted()) throw new TaskKilledException("cancelled")
      chunk
    }
  }

  /** Chunks that hold the kept values only. */
  def keepAll(chunks: Iterator[Chunk]): Iterator[Chunk] = cancellable(chunks).map { chunk =>
    val values = new Values(chunk)
    new Chunk(chunk.startRow, chunk.rows, kept.map(values.keep))
  }

  /** One partition's share of the pass. */
  def fold(chunks: Iterator[Chunk]): PartialResult = {
    val accumulators = sinks.map(_.kernel.start())
    val gathered = gathers.map(_ => Vector.newBuilder[(Long, DenseBlock)])
    val bytes = new Array[Long](64)
    var rows = 0L
    cancellable(chunks).foreach { chunk =>
      val values = new Values(chunk)
      var i = 0
      while (i < sinks.length) {
        accumulators(i).add(values.operands(sinks(i).operands), chunk.startRow)
        i += 1
      }
      i = 0
      while (i < gathers.length) {
        gathered(i) += ((chunk.startRow, values(gathers(i)).dense))
        i += 1
      }
      i = 0
      while (i < math.min(chunk.slots.length, bytes.length)) {
        bytes(i) += chunk.slots(i).bytes
        i += 1
      }
      rows += chunk.rows
    }
    PartialResult(accumulators.map(_.value), gathered.map(_.result().toArray), bytes, rows)
  }
}

/** What a task sends back. */
final case class PartialResult(
    sinks: Array[DenseBlock], gathered: Array[Array[(Long, DenseBlock)]], slotBytes: Array[Long], rows: Long)

/** A compact block that is expanded at most once while one chunk is worked on. */
private final class DenseOnce(inner: Block) extends Block {
  def rows: Int = inner.rows
  def cols: Int = inner.cols
  lazy val dense: DenseBlock = inner.dense
  def bytes: Long = inner.bytes
  def addRows(order: Array[Int], from: Int, until: Int, out: Array[Double], at: Int, stride: Int): Unit =
    inner.addRows(order, from, until, out, at, stride)
}
