package reprise.shim.program

import org.apache.spark.broadcast.Broadcast
import org.apache.spark.rdd.RDD

import reprise.shim.ShimContext
import reprise.shim.block.{Block, BlockForm, Chunk}
import reprise.shim.frame.Feature
import reprise.shim.ops.{Move, SelectRows}
import reprise.shim.protocol.Json._
import reprise.shim.protocol.ShimError

/** The rows a pass reads: chunks whose `slots` hold these values. */
final case class RowBase(
    rdd: RDD[Chunk], slots: Map[Int, Int], layout: Layout, broadcasts: Seq[Broadcast[_]], heldRdd: Option[RowBase],
    shared: Seq[SharedBroadcast] = Nil, owner: Option[PersistedRdd] = None) {
  def destroy(owner: Broadcasts): Unit = broadcasts.foreach(owner.destroy)
}

/**
 * Opens the data below a pass as one RDD: frames are scanned, held values zipped beside them when
 * they are cut the same way and moved when not, and host matrices are cut up when nothing else says
 * how rows are cut.
 */
final class RowSource(context: ShimContext, values: ProgramValues, rows: Long) {
  private val compiler = new PlanCompiler(context, values)

  /** Rows of a chunk, if the application sets them: tests cut small data into many chunks. */
  private val given: Option[Int] = context.spark.getConf.getOption("spark.reprise.chunkRows").map(_.toInt)

  /** The data below these values, which are blocked and need `nodes` evaluated. */
  def open(nodes: Seq[Instruction], ids: Seq[Int]): RowBase = {
    val blocked = (nodes.flatMap(_.operands.filter(_.blocked).map(_.id)) ++ ids).distinct
    val heldIds = blocked.filter(values.held.contains)
    val hostRows = blocked.filter(id => values.host.contains(id) && !values.held.contains(id))
    val moved = blocked.flatMap(id => values.moveOf(id).map { case (instruction, move) => (instruction, move) })
    val widest = nodes.filter(node => values.isBlockedValue(node.id)).foldLeft(1)((most, node) => math.max(most, node.shape.cols))
    open(nodes.filter(values.isEncode), heldIds, hostRows, moved, widest)
  }

  private def open(
      encodes: Seq[Instruction], heldIds: Seq[Int], hostRows: Seq[Int], moved: Seq[(Instruction, Move)],
      made: Int): RowBase = {
    val moves = moved.groupBy { case (instruction, move) => values.moveKey(instruction, move) }.toSeq.sortBy(_._1)
    val scans = encodes.groupBy(encode => values.source(encode).key).values.toSeq.map(scan) ++
      moves.map { case (_, group) => openMoved(group) }
    // The widest stay where they are.
    val held = heldIds.groupBy(id => values.held(id).owner.rdd.id).values.toSeq
      .sortBy(ids => (-ids.map(id => values.shape(id).cols).sum, values.held(ids.head).owner.rdd.id)).map(openHeld)
    val bases = scans ++ held
    if (bases.isEmpty) generated(hostRows, made)
    else {
      val first = bases.head
      val joined = bases.tail.map(base => if (base.layout.key == first.layout.key) base else Realign(context, base, first))
      val heldBases = joined.drop(scans.length - 1)
      val zipped = joined.foldLeft(first)((left, right) => RowSource.zip(left, right))
      val beside = if (scans.isEmpty) Some(zipped) else heldBases.reduceOption((a, b) => RowSource.zip(a, b))
      zipped.copy(heldRdd = beside)
    }
  }

  private def scan(encodes: Seq[Instruction]): RowBase = {
    val source = values.source(encodes.head)
    val features = encodes.map(_.attrs.items("features").map(Feature.parse).toIndexedSeq).toIndexedSeq
    val chunkRows = given.getOrElse(RowSource.FrameChunkRows)
    val rdd = context.frames.chunks(source, features, chunkRows)
    RowBase(
      rdd, encodes.map(_.id).zipWithIndex.toMap,
      Layout(source.key, source.rows, chunkRows), Nil, None)
  }

  private def openHeld(ids: Seq[Int]): RowBase = {
    val first = values.held(ids.head)
    RowBase(
      first.owner.rdd, ids.map(id => id -> values.held(id).slot).toMap, first.layout, Nil, None, owner = Some(first.owner))
  }

  /** Values moved alike, opened together: each operand position is one RDD with a slot a value. */
  private def openMoved(group: Seq[(Instruction, Move)]): RowBase = {
    val members = group.map(_._1)
    val slots = members.map(_.id).zipWithIndex.toMap
    group.head._2 match {
      case Move.Cut(from, until, _) =>
        val columns = group.map { case (_, move) => move.asInstanceOf[Move.Cut].columns }.toArray
        val below = operandBase(members.map(_.operands(0).id), MovedRows.overlapping(_, from, until))
        RowBase(
          MovedRows.cut(below.rdd, from, until, columns), slots,
          Layout(s"cut:$from:$until:${below.layout.key}", until - from, below.layout.chunkRows), below.broadcasts, None,
          below.shared)
      case Move.Stack =>
        val parts = members.head.operands.indices.map(i => operandBase(members.map(_.operands(i).id), identity))
        val heights = members.head.operands.map(operand => values.shape(operand.id).rows)
        RowBase(
          MovedRows.stack(parts.map(_.rdd), heights.scanLeft(0L)(_ + _)), slots,
          Layout(s"stack:${parts.map(_.layout.key).mkString("(", ",", ")")}", heights.sum, parts.head.layout.chunkRows),
          parts.flatMap(_.broadcasts), None, parts.flatMap(_.shared))
      case Move.Select(rows) => openSelected(members, slots, rows)
    }
  }

  private def openSelected(members: Seq[Instruction], slots: Map[Int, Int], rows: Long): RowBase = {
    val mask = members.head.operands(1).id
    val all = operandBase(members.map(_.operands(0).id) :+ mask, identity)
    // Only the mask is computed for the count where the data are read anew; cuts are the same.
    val counts = MovedRows.count(all.rdd)
    SelectRows.check(counts.sum, rows)
    val key = s"select:${java.util.UUID.randomUUID()}"
    RowBase(
      MovedRows.select(all.rdd, counts), slots, Layout(key, rows, all.layout.chunkRows), all.broadcasts, None, all.shared)
  }

  /** These values of one row space, evaluated: slot i holds `ids(i)`. */
  private def operandBase(ids: Seq[Int], only: RDD[Chunk] => RDD[Chunk]): RowBase = {
    val height = values.shape(ids.head).rows
    val below = new RowSource(context, values, height).open(values.chain(ids), ids)
    val compiled = compiler.keep(below.slots, ids)
    val plan = compiled.plan
    val rdd = only(below.rdd).mapPartitions(chunks => plan.keepAll(chunks))
    RowBase(
      rdd, Map.empty, plan.layout(below.layout), below.broadcasts :+ compiled.broadcast, None, below.shared ++ compiled.shared)
  }

  /**
   * No data says how rows are cut: cut the widest host operand up, or nothing but row numbers.
   * Equally many rows are cut the same way unless what is made of them is wide, so that values made
   * apart can be read side by side.
   */
  private def generated(hostRows: Seq[Int], made: Int): RowBase = {
    val widest = hostRows.sortBy(id => -values.host(id).cols).headOption
      .filter(id => given.isDefined || rows * values.host(id).cols >= RowSource.UploadCells)
    val own = widest.map(id => values.host(id).cols).getOrElse(16)
    val usual = math.max(256, math.min(16384, RowSource.ChunkCells / math.max(1, own)))
    val most = PlanCompiler.pieceRows(made)
    val chunkRows = given.getOrElse(math.min(usual, most))
    val cols = if (most < usual) math.max(own, made) else own
    val chunks = (rows + chunkRows - 1) / chunkRows
    // Of compressed rows by what they hold: a cell and its place.
    val held = widest.flatMap(id => values.host(id).sparse).map(_.nonZeros * 3L / 2)
    val wanted = math.max(2L * context.spark.defaultParallelism, held.getOrElse(rows * cols) / RowSource.PartitionCells)
    val partitions = math.max(1L, math.min(wanted, chunks)).toInt
    val layout = Layout(s"rows:$rows:$chunkRows:$partitions", rows, chunkRows)
    val parts = (0 until partitions).map { p =>
      val from = chunks * p / partitions * chunkRows
      val until = math.min(rows, chunks * (p + 1) / partitions * chunkRows)
      val data = widest.map(id =>
        context.broadcasts.make(values.host(id).sliceRows(from.toInt, until.toInt)))
      RowRange(from, until, data)
    }
    val rdd = context.spark.parallelize(parts, partitions).flatMap(_.chunks(chunkRows))
    RowBase(rdd, widest.map(_ -> 0).toMap, layout, parts.flatMap(_.data), None)
  }
}

object RowSource {
  /** Rows of a chunk of a frame. Fixed, so that two scans of a frame can be zipped. */
  val FrameChunkRows = 8192
  /** Cells of a chunk of a host matrix: 4 MB. */
  val ChunkCells: Int = 1 << 19
  /** Cells of a partition of a host matrix: at most 32 MB. */
  val PartitionCells: Long = 1L << 22
  /** Smaller host matrices travel whole. */
  val UploadCells: Int = 1 << 14

  /** The rows in pieces of at most so many. */
  def cut(rdd: RDD[Chunk], most: Int): RDD[Chunk] = rdd.mapPartitions(_.flatMap(_.pieces(most)))

  /** Two RDDs cut the same way, side by side. */
  def zip(left: RowBase, right: RowBase): RowBase = {
    val shift = left.slots.size max (left.slots.values.foldLeft(-1)(math.max) + 1)
    val width = shift
    val rdd = left.rdd.zipPartitions(right.rdd) { (a, b) =>
      a.zipAll(b, null, null).map { case (x, y) =>
        if (x == null || y == null || x.startRow != y.startRow || x.rows != y.rows) {
          throw new IllegalStateException("zip: expected row blocks that are cut the same way")
        }
        new Chunk(x.startRow, x.rows, x.slots.take(width).padTo(width, null) ++ y.slots)
      }
    }
    RowBase(
      rdd, left.slots ++ right.slots.map { case (id, slot) => id -> (slot + shift) },
      left.layout, left.broadcasts ++ right.broadcasts, None, left.shared ++ right.shared)
  }
}

/** Rows `from until until`, with their cells if a host matrix is cut up. */
final case class RowRange(from: Long, until: Long, data: Option[Broadcast[Block]]) {
  def chunks(chunkRows: Int): Iterator[Chunk] =
    Iterator.iterate(from)(_ + chunkRows).takeWhile(_ < until).map { start =>
      val count = math.min(chunkRows.toLong, until - start).toInt
      val slots = data.map { whole =>
        BlockForm.best(whole.value.sliceRows((start - from).toInt, (start - from).toInt + count))
      }
      new Chunk(start, count, slots.toArray[Block])
    }
}
