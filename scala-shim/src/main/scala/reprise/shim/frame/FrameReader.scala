package reprise.shim.frame

import java.util.concurrent.ConcurrentHashMap

import org.apache.hadoop.fs.Path
import org.apache.parquet.hadoop.ParquetFileReader
import org.apache.parquet.hadoop.metadata.ParquetMetadata
import org.apache.parquet.hadoop.util.HadoopInputFile
import org.apache.spark.sql.{DataFrame, SparkSession}
import org.apache.spark.sql.reprise.RowFrames
import org.apache.spark.sql.types.StructType
import org.apache.spark.util.SerializableConfiguration

import reprise.shim.protocol.ShimError

/**
 * One file as a data frame. Files are read one by one so that the order of rows is the order of files and, within a
 * file, the file's own: Spark packs the splits of many files by size, which would shuffle them.
 */
final class FrameReader(session: SparkSession) {
  private val known = new ConcurrentHashMap[String, FileColumns]()

  def read(source: FrameSource, file: FrameFile): DataFrame = {
    val format = source.format
    val columns = known.computeIfAbsent(s"$format:${file.path}:${file.digest}", _ => columnsOf(format, file.path))
    val schema = columns.stored
    val frame = columns.of(format match {
      case "parquet" => session.read.schema(schema).parquet(file.path)
      case "orc" => session.read.schema(schema).orc(file.path)
      case "csv" => csv(file.path).schema(schema).csv(file.path)
      case "jsonl" => json.schema(schema).json(file.path)
      case "arrow" => arrow(file.path, schema)
      case other => throw unsupported(other)
    })
    PartitionValue.add(frame, file.partition)
  }

  /** The columns of a file, those that can't be read among them. */
  def columnsOf(format: String, path: String): FileColumns = format match {
    case "parquet" => ParquetColumns.of(path, footer(path).getFileMetaData.getSchema, session.sessionState.conf)
    case "arrow" => ArrowFile.columnsOf(path, session.sessionState.newHadoopConf())
    case other => FileColumns(path, schemaOf(other, path))
  }

  /** Text formats are read once to guess their columns. */
  private def schemaOf(format: String, path: String): StructType = format match {
    case "orc" => DataFaults.guard(path)(session.read.orc(path).schema)
    case "csv" => csv(path).option("inferSchema", "true").csv(path).schema
    case "jsonl" => inWrittenOrder(path, json.json(path).schema)
    case other => throw unsupported(other)
  }

  def footer(path: String): ParquetMetadata = {
    val configuration = session.sessionState.newHadoopConf()
    try {
      val file = ParquetFileReader.open(HadoopInputFile.fromPath(new Path(path), configuration))
      try file.getFooter
      finally file.close()
    } catch {
      case error: Exception =>
        val unknown = ParquetColumns.unknownTypes(path, configuration)
        if (unknown.nonEmpty) {
          throw ShimError.data(
            s"data: expected a Parquet file Spark ${session.version} can read, got types newer than its reader (such as FLOAT16) in the columns ${unknown.mkString(", ")} of $path; " +
              "write them as another type, run with --engine local, or with Spark 4",
            "path" -> path, "column" -> unknown.head)
        }
        throw ShimError.data(
          s"data: expected a readable Parquet file at $path, got ${DataFaults.text(error)}; the file is truncated, damaged or still being written", "path" -> path)
    }
  }

  /** RFC 4180 with a header line; the delimiter is the one this line uses most, as DuckDB's reader here decides. */
  private def csv(path: String) = session.read
    .option("header", "true")
    .option("sep", TextFiles.delimiterOf(firstLine(path)))
    .option("nullValue", "")
    .option("emptyValue", null)
    .option("nanValue", "nan")
    .option("positiveInf", "inf")
    .option("negativeInf", "-inf")
    .option("enforceSchema", "true")
    .option("multiLine", "true")
    .option("quote", "\"")
    .option("escape", "\"")
    .option("mode", "FAILFAST")

  private def json = session.read.option("inferTimestamp", "true").option("mode", "FAILFAST")

  /** Spark has no source of Arrow files; one partition reads the file's batches in order. */
  private def arrow(path: String, schema: StructType): DataFrame = {
    val configuration = new SerializableConfiguration(session.sessionState.newHadoopConf())
    val rows = session.sparkContext.parallelize(Seq(path), 1).mapPartitions { paths =>
      paths.flatMap(ArrowFile.rowsIn(_, configuration.value))
    }
    RowFrames.of(session, rows, schema)
  }

  /** Spark sorts the names of JSON fields; the first line has them as they were written. */
  private def inWrittenOrder(path: String, schema: StructType): StructType = {
    val first = TextFiles.fieldNames(firstLine(path)).filter(schema.fieldNames.contains)
    StructType(first.map(schema(_)) ++ schema.fields.filterNot(field => first.contains(field.name)))
  }

  private def firstLine(path: String): String =
    TextFiles.firstLine(new Path(path), session.sessionState.newHadoopConf())

  private def unsupported(format: String): ShimError =
    ShimError.unsupported(
      s"frame: expected parquet, orc, csv, arrow or jsonl, got $format; convert it to Parquet",
      "format" -> format)
}
