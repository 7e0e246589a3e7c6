package reprise.shim.frame

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

  def chunks(source: FrameSource, encodes: IndexedSeq[IndexedSeq[Feature]], chunkRows: Int): RDD[Chunk] = {
    val columns = encodes.flatten.map(_.column).distinct
    WideFrames.tune(session, columns.length, source.rows)
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
    val most = math.max(1L, file.rows)
    plan.queryExecution.toRdd.mapPartitions { rows =>
      new ChunkBuilder(rows, lookups, slots, math.min(chunkRows.toLong, most).toInt, firstRow, hasIndex, path)
    }
  }
}

/** Features of one `encode` node and the raw column each is made of. */
final case class EncodeSlot(features: Array[FeatureCode], columns: Array[Int]) {
  val width: Int = features.map(_.width).sum
}

/** Groups rows of one partition into chunks. */
final class ChunkBuilder(
    rows: Iterator[InternalRow], readers: Array[CellReader], slots: Array[EncodeSlot],
    chunkRows: Int, firstRow: Long, hasIndex: Boolean, path: String)
    extends Iterator[Chunk] {
  private var nextRow = -1L

  def hasNext: Boolean = DataFaults.guard(path)(rows.hasNext)

  def next(): Chunk = {
    val numbers = readers.map(reader => reader.newBuffer(chunkRows))
    var start = nextRow
    var count = 0
    DataFaults.guard(path, if (start < 0) None else Some(start + count - firstRow + 1)) {
      while (count < chunkRows && rows.hasNext) {
        val row = rows.next()
        if (count == 0 && start < 0) start = firstRow + (if (hasIndex) row.getLong(readers.length) else 0L)
        var c = 0
        while (c < readers.length) {
          readers(c).read(row, c, numbers(c), count)
          c += 1
        }
        count += 1
      }
    }
    nextRow = start + count
    val vectors = readers.indices.map(c => readers(c).finish(numbers(c), count)).toArray
    val size = count
    val at = start
    val blocks = slots.map { slot =>
      val columns = slot.columns.map(vectors)
      checkMissing(slot, columns, at, size)
      new EncodedBlock(size, slot.width, slot.features, columns): Block
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
