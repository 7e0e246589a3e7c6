package reprise.shim.program

import org.apache.spark.broadcast.Broadcast
import org.apache.spark.rdd.RDD

import reprise.shim.ShimContext
import reprise.shim.block.{Chunk, DenseBlock}
import reprise.shim.frame.Feature
import reprise.shim.protocol.Json._
import reprise.shim.protocol.ShimError

/** The rows a pass reads: chunks whose `slots` hold these values. */
final case class RowBase(
    rdd: RDD[Chunk], slots: Map[Int, Int], layout: Layout, broadcasts: Seq[Broadcast[_]], heldRdd: Option[RowBase]) {
  def destroy(): Unit = broadcasts.foreach(_.destroy())
}

/**
 * Opens the data below a pass as one RDD: frames are scanned, held values zipped beside them when they are cut the
 * same way and moved when not, and host matrices are cut up when nothing else says how rows are cut.
 */
final class RowSource(context: ShimContext, values: ProgramValues, rows: Long) {

  /** Rows of a chunk, where the application sets them: tests cut small data into many chunks this way. */
  private val given: Option[Int] = context.spark.getConf.getOption("spark.reprise.chunkRows").map(_.toInt)

  def open(encodes: Seq[Instruction], heldIds: Seq[Int], hostRows: Seq[Int]): RowBase = {
    val scans = encodes.groupBy(encode => values.source(encode).key).values.toSeq.map(scan)
    val held = heldIds.groupBy(id => values.held(id).owner.rdd.id).values.toSeq.map(openHeld)
    val bases = scans ++ held
    if (bases.isEmpty) generated(hostRows)
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
    RowBase(first.owner.rdd, ids.map(id => id -> values.held(id).slot).toMap, first.layout, Nil, None)
  }

  /** No data says how rows are cut: cut the widest host operand up, or nothing but row numbers. */
  private def generated(hostRows: Seq[Int]): RowBase = {
    val widest = hostRows.sortBy(id => -values.host(id).cols).headOption
      .filter(id => given.isDefined || values.host(id).values.length >= RowSource.UploadCells)
    val cols = widest.map(id => values.host(id).cols).getOrElse(16)
    val chunkRows =
      given.getOrElse(math.max(256, math.min(16384, RowSource.ChunkCells / math.max(1, cols))))
    val chunks = (rows + chunkRows - 1) / chunkRows
    val wanted = math.max(2L * context.spark.defaultParallelism, rows * cols / RowSource.PartitionCells)
    val partitions = math.max(1L, math.min(wanted, chunks)).toInt
    val layout = Layout(s"rows:$rows:$chunkRows:$partitions", rows, chunkRows)
    val parts = (0 until partitions).map { p =>
      val from = chunks * p / partitions * chunkRows
      val until = math.min(rows, chunks * (p + 1) / partitions * chunkRows)
      val data = widest.map(id =>
        context.spark.broadcast(values.host(id).sliceRows(from.toInt, until.toInt)))
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
      left.layout, left.broadcasts ++ right.broadcasts, None)
  }
}

/** Rows `from until until`, with their cells if a host matrix is cut up. */
final case class RowRange(from: Long, until: Long, data: Option[Broadcast[DenseBlock]]) {
  def chunks(chunkRows: Int): Iterator[Chunk] =
    Iterator.iterate(from)(_ + chunkRows).takeWhile(_ < until).map { start =>
      val count = math.min(chunkRows.toLong, until - start).toInt
      val slots = data.map(_.value.sliceRows((start - from).toInt, (start - from).toInt + count)).toArray
      new Chunk(start, count, slots.asInstanceOf[Array[reprise.shim.block.DenseBlock]].map(b => b: reprise.shim.block.Block))
    }
}
