package reprise.shim.frame

import java.util.concurrent.ConcurrentHashMap

import org.apache.hadoop.fs.Path
import org.apache.parquet.hadoop.{Footer, ParquetFileReader}
import org.apache.parquet.hadoop.metadata.ParquetMetadata
import org.apache.parquet.hadoop.util.HadoopInputFile
import org.apache.spark.sql.{DataFrame, SparkSession}
import org.apache.spark.sql.execution.datasources.parquet.{ParquetFileFormat, ParquetToSparkSchemaConverter}
import org.apache.spark.sql.reprise.RowFrames
import org.apache.spark.sql.types.StructType
import org.apache.spark.util.SerializableConfiguration

import reprise.shim.protocol.ShimError

/**
 * One file as a data frame. Files are read one by one so that the order of rows is the order of files and, within a
 * file, the file's own: Spark packs the splits of many files by size, which would shuffle them.
 */
final class FrameReader(session: SparkSession) {
  private val schemas = new ConcurrentHashMap[String, StructType]()

  def read(source: FrameSource, file: FrameFile): DataFrame = {
    val format = source.format
    val schema = schemas.computeIfAbsent(s"$format:${file.path}:${file.digest}", _ => schemaOf(format, file.path))
    format match {
      case "parquet" => session.read.schema(schema).parquet(file.path)
      case "orc" => session.read.schema(schema).orc(file.path)
      case "csv" => csv(file.path).schema(schema).csv(file.path)
      case "jsonl" => json.schema(schema).json(file.path)
      case "arrow" => arrow(file.path, schema)
      case other => throw unsupported(other)
    }
  }

  /** The columns of a file. Parquet's stand in its footer; text formats are read once to guess them. */
  def schemaOf(format: String, path: String): StructType = format match {
    case "parquet" =>
      val converter = new ParquetToSparkSchemaConverter(session.sessionState.conf)
      ParquetFileFormat.readSchemaFromFooter(new Footer(new Path(path), footer(path)), converter)
    case "orc" => session.read.orc(path).schema
    case "csv" => csv(path).option("inferSchema", "true").csv(path).schema
    case "jsonl" => inWrittenOrder(path, json.json(path).schema)
    case "arrow" => ArrowFile.schemaOf(path, session.sessionState.newHadoopConf())
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
        throw ShimError.data(
          s"frame: expected a readable Parquet file at $path, got ${error.getMessage}", "path" -> path)
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
