package reprise.shim.verbs

import com.fasterxml.jackson.databind.JsonNode
import org.apache.hadoop.fs.Path
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.{AnalysisException, DataFrame, SaveMode}
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.BaseGenericInternalRow
import org.apache.spark.sql.catalyst.parser.CatalystSqlParser
import org.apache.spark.sql.reprise.{Columns, RowFrames}
import org.apache.spark.sql.types.{DoubleType, StructField, StructType}

import reprise.shim.ShimContext
import reprise.shim.block.{Chunk, DenseBlock, WholeBlock}
import reprise.shim.frame.SqlDialect
import reprise.shim.program.Program
import reprise.shim.protocol.{Json, Payload, Reply, ShimError}
import reprise.shim.protocol.Json._

/**
 * Writes a matrix, held or sent along, as a folder of Parquet or ORC files with a column of doubles
 * for each of its own. Files are named in the order of their rows, so that reading the folder gives
 * the matrix back; NaN stays NaN.
 */
object WriteMatrix extends VerbHandler {
  val name = "writeMatrix"

  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val columns = args.items("columns").map(_.asText)
    val frame = selected(MatrixFrame.of(context, args, payloads, columns), args)
    args.textOption("table") match {
      case Some(table) => writeTable(context, frame, table, args)
      case None => writeFolder(context, frame, args)
    }
  }

  private def selected(frame: DataFrame, args: JsonNode): DataFrame =
    Option(args.get("select")).filter(_.isArray) match {
      case None => frame
      case Some(_) =>
        frame.select(args.items("select").map { column =>
          Columns.of(CatalystSqlParser.parseExpression(column.text("sql"))).as(column.text("name"))
        }: _*)
    }

  private def writeTable(context: ShimContext, frame: DataFrame, table: String, args: JsonNode): Reply = {
    val taken =
      try context.session.catalog.tableExists(table)
      catch { case error: AnalysisException => throw ShimError.data(s"table: expected a name of a table, got $table: ${SqlDialect.firstLine(error.getMessage)}", "path" -> table) }
    if (taken) throw ShimError.data(s"table: expected no table $table, got one; give another name", "path" -> table)
    val (_, jobs) = context.runs.track(args.text("run")) {
      frame.write.format(args.text("format")).mode(SaveMode.ErrorIfExists).saveAsTable(table)
    }
    Reply(Json.obj("files" -> Json.int(0), "bytes" -> Json.int(0), "sparkJobs" -> Json.int(jobs)))
  }

  private def writeFolder(context: ShimContext, frame: DataFrame, args: JsonNode): Reply = {
    val given = new Path(args.text("path"))
    // Without a scheme it is the cluster's: executors write it.
    val target = given.getFileSystem(context.spark.hadoopConfiguration).makeQualified(given)
    val path = target.toString
    val format = args.text("format")
    val files = target.getFileSystem(context.session.sessionState.newHadoopConf())
    if (files.exists(target)) {
      throw ShimError.data(s"$format: expected nothing at $path, got something; give another path", "path" -> path)
    }
    val (_, jobs) = context.runs.track(args.text("run")) {
      frame.write.format(format).mode(SaveMode.ErrorIfExists).save(path)
    }
    val written = files.listStatus(target).filter(_.getPath.getName.endsWith(s".$format"))
    Reply(
      Json.obj(
        "files" -> Json.int(written.length), "bytes" -> Json.int(written.map(_.getLen).sum), "sparkJobs" -> Json.int(jobs)))
  }
}

/** A frame of doubles over the rows of a matrix: one held under `handle`, or the first payload's cells. */
object MatrixFrame {
  def of(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload], columns: Seq[String]): DataFrame = {
    val rows = args.textOption("handle") match {
      case Some(handle) =>
        val held = HeldValue.of(context, handle)
        val slot = held.slot
        held.owner.rdd.mapPartitions(_.flatMap(chunk => MatrixRows(chunk.slots(slot).dense)))
      case None =>
        val block = WholeBlock(args.integer("rows"), columns.length, payloads(0).cells(Program.isSingle(args)))
        sent(context, block)
    }
    val schema = StructType(columns.map(column => StructField(column, DoubleType, nullable = false)))
    RowFrames.of(context.session, rows, schema)
  }

  private def sent(context: ShimContext, block: WholeBlock): RDD[InternalRow] = {
    val parts = math.max(1, math.min(context.spark.defaultParallelism, block.rows))
    val cuts = (0 to parts).map(p => (block.rows.toLong * p / parts).toInt)
    val chunks = cuts.zip(cuts.tail).map { case (from, until) =>
      new Chunk(from, until - from, Array(block.sliceRows(from, until)))
    }
    context.spark.parallelize(chunks, parts).flatMap(chunk => MatrixRows(chunk.slots(0).dense))
  }
}

object MatrixRows {
  /** The rows of a block in one shared object: copy it to keep it, as Spark's own rows ask. */
  def apply(block: DenseBlock): Iterator[InternalRow] = {
    val row = new MatrixRow(block)
    Iterator.range(0, block.rows).map(i => row.at(i))
  }
}

/** A row of a dense block, its cells unboxed. */
final class MatrixRow(block: DenseBlock) extends BaseGenericInternalRow {
  private var start = 0

  def at(row: Int): MatrixRow = {
    start = row * block.cols
    this
  }

  def numFields: Int = block.cols
  protected def genericGet(ordinal: Int): Any = getDouble(ordinal)
  override def getDouble(ordinal: Int): Double = block.values(start + ordinal)
  override def isNullAt(ordinal: Int): Boolean = false
  def setNullAt(ordinal: Int): Unit = throw new UnsupportedOperationException("a row of a matrix")
  def update(ordinal: Int, value: Any): Unit = throw new UnsupportedOperationException("a row of a matrix")
}
