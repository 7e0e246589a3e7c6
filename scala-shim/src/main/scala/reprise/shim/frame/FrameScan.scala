package reprise.shim.frame

import java.util.concurrent.atomic.AtomicInteger

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.{Column, DataFrame, SparkSession}
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.reprise.Columns

import reprise.shim.block._
import reprise.shim.protocol.ShimError

/**
 * Reads a frame once for all the `encode` nodes that want it: an RDD whose chunks hold one compact
 * block per node. Invariant: row order is the order of files and of rows in them, and `startRow` is
 * exact: files' row counts are known, and within a file Parquet's own row index tells where a
 * partition begins; text files are one partition each.
 */
final class FrameScan(session: SparkSession, reader: FrameReader) {
  private val numbers = new ParquetNumbers(session)
  private val allNumberFiles = new AtomicInteger

  /** Scans of a file that made no rows, since the application began. */
  def numberFiles: Int = allNumberFiles.get

  /** One at a time: the session's settings are those of one scan. */
  def chunks(source: FrameSource, encodes: IndexedSeq[IndexedSeq[Feature]], chunkRows: Int): RDD[Chunk] = synchronized {
    val columns = encodes.flatten.map(_.column).distinct
    WideFrames.tune(session, columns.length, source.rows)
    // Parts of a file without the middle of a row group are tasks for nothing.
    val wanted = 2 * session.sparkContext.defaultParallelism
    val files = math.max(1, source.files.length)
    session.conf.set("spark.sql.files.minPartitionNum", ((wanted + files - 1) / files).toString)
    val slots = encodes.map { features =>
      EncodeSlot(features.map(_.code).toArray, features.map(feature => columns.indexOf(feature.column)).toArray)
    }.toArray
    var firstRow = 0L
    val parts = source.files.filter(_.rows > 0).map { file =>
      val part = fileChunks(source, file, firstRow, columns, slots, chunkRows)
      firstRow += file.rows
      part
    }
    if (parts.isEmpty) throw ShimError.data("frame: expected at least one row, got none")
    if (parts.length == 1) parts.head else session.sparkContext.union(parts)
  }

  /** By Spark's own metadata, whatever the data's columns are called. */
  private def rowIndex(frame: DataFrame): Column =
    frame.metadataColumn("_metadata").getField("row_index").as("row_index")

  private def fileChunks(
      source: FrameSource, file: FrameFile, firstRow: Long,
      columns: IndexedSeq[RawColumn], slots: Array[EncodeSlot], chunkRows: Int): RDD[Chunk] = {
    val frame = reader.read(source, file)
    val expressions = columns.map(column => SqlDialect.parse(column.text))
    val types = SqlDialect.select(frame, columns.map(_.text), expressions).schema.map(_.dataType)
    val lookups = columns.zip(types).map { case (column, dataType) =>
      CellReader.of(column, dataType)
    }.toArray
    val selected = columns.indices.map { i =>
      Columns.of(lookups(i).prepare(ColumnNames.spelled(expressions(i), frame.schema), types(i))).as(s"c$i")
    }
    // Of rows that are left out the index tells nothing.
    val hasIndex = source.format == "parquet" && source.options.dropMissing.isEmpty
    val plan =
      if (hasIndex) frame.select(selected :+ rowIndex(frame): _*)
      else frame.coalesce(1).select(selected: _*)
    val path = file.path
    val size = math.min(chunkRows.toLong, math.max(1L, file.rows)).toInt
    val groups = if (hasIndex && lookups.forall(_ == NumberReader)) numbers.groups(plan, lookups.length) else None
    groups match {
      case Some(rdd) =>
        allNumberFiles.incrementAndGet()
        rdd.mapPartitions(own => new ChunkBuilder(new GroupCells(own), lookups, slots, size, firstRow, path))
      case None =>
        plan.queryExecution.toRdd.mapPartitions(rows =>
          new ChunkBuilder(new RowCells(rows, lookups, hasIndex), lookups, slots, size, firstRow, path))
    }
  }
}

/** The rows of one partition, as cells of the columns that are read. */
trait CellSource {
  def hasNext: Boolean
  /** Number in the file of the partition's first row, from 0; known once there is one. */
  def firstIndex: Long
  /** Rows read so far. */
  def rowsRead: Long
  /** Reads at most `most` rows into the buffers, a column each. */
  def read(buffers: Array[AnyRef], most: Int): Unit
}

/** From rows that Spark makes. */
final class RowCells(rows: Iterator[InternalRow], readers: Array[CellReader], hasIndex: Boolean) extends CellSource {
  private var row: InternalRow = _
  var firstIndex = 0L
  var rowsRead = 0L

  def hasNext: Boolean = {
    if (row == null && rows.hasNext) {
      row = rows.next()
      if (hasIndex && rowsRead == 0) firstIndex = row.getLong(readers.length)
    }
    row != null
  }

  def read(buffers: Array[AnyRef], most: Int): Unit = {
    var count = 0
    while (count < most && hasNext) {
      var c = 0
      while (c < readers.length) {
        readers(c).read(row, c, buffers(c), count)
        c += 1
      }
      row = null
      count += 1
      rowsRead += 1
    }
  }
}

/** From the columns of Parquet's row groups. */
final class GroupCells(groups: Iterator[NumberGroup]) extends CellSource {
  private var group: NumberGroup = _
  private var from = 0
  var firstIndex = 0L
  var rowsRead = 0L

  def hasNext: Boolean = {
    while ((group == null || from == group.numRows) && groups.hasNext) {
      group = groups.next()
      from = 0
      if (rowsRead == 0) firstIndex = group.firstRow
    }
    group != null && from < group.numRows
  }

  def read(buffers: Array[AnyRef], most: Int): Unit = {
    var count = 0
    while (count < most && hasNext) {
      val some = math.min(most - count, group.numRows - from)
      var c = 0
      while (c < buffers.length) {
        group.read(c, buffers(c).asInstanceOf[Array[Double]], count, some)
        c += 1
      }
      from += some
      count += some
      rowsRead += some
    }
  }
}

/** Features of one `encode` node and the raw column each is made of. */
final case class EncodeSlot(features: Array[FeatureCode], columns: Array[Int]) {
  val width: Int = features.map(_.width).sum
  val isHashed: Boolean = features.exists(_.isInstanceOf[FeatureCode.Hashed])
}

/** Groups rows of one partition into chunks. */
final class ChunkBuilder(
    source: CellSource, readers: Array[CellReader], slots: Array[EncodeSlot], chunkRows: Int, firstRow: Long, path: String)
    extends Iterator[Chunk] {
  def hasNext: Boolean = DataFaults.guard(path)(source.hasNext)

  def next(): Chunk = {
    val numbers = readers.map(reader => reader.newBuffer(chunkRows))
    DataFaults.guard(path)(source.hasNext)
    val before = source.rowsRead
    DataFaults.guard(path, Some(source.firstIndex + source.rowsRead + 1))(source.read(numbers, chunkRows))
    val start = firstRow + source.firstIndex + before
    val count = (source.rowsRead - before).toInt
    val vectors = readers.indices.map(c => readers(c).finish(numbers(c), count)).toArray
    val blocks = slots.map { slot =>
      val columns = slot.columns.map(vectors)
      checkMissing(slot, columns, start, count)
      if (slot.isHashed) HashedBlock.of(count, slot.width, slot.features, columns): Block
      else new EncodedBlock(count, slot.width, slot.features, columns): Block
    }
    new Chunk(start, count, blocks)
  }

  private def checkMissing(slot: EncodeSlot, columns: Array[RawVector], start: Long, count: Int): Unit =
    slot.features.indices.foreach { f =>
      (slot.features(f), columns(f)) match {
        case (FeatureCode.Number(name, true, _), numbers: NumberVector) =>
          var i = 0
          while (i < count) {
            if (numbers.values(i).isNaN) {
              throw ShimError.data(
                s"encode: expected a number in every row of feature `$name`, got a missing value in row ${start + i + 1}; give the feature an `impute`",
                "feature" -> name)
            }
            i += 1
          }
        case _ =>
      }
    }
}
