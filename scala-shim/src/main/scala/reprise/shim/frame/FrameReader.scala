package reprise.shim.frame

import java.util.concurrent.ConcurrentHashMap

import org.apache.hadoop.fs.Path
import org.apache.parquet.hadoop.{Footer, ParquetFileReader}
import org.apache.parquet.hadoop.metadata.ParquetMetadata
import org.apache.parquet.hadoop.util.HadoopInputFile
import org.apache.spark.sql.{Column, DataFrame, SparkSession}
import org.apache.spark.sql.execution.datasources.parquet.{ParquetFileFormat, ParquetToSparkSchemaConverter}
import org.apache.spark.sql.reprise.RowFrames
import org.apache.spark.sql.functions.isnan
import org.apache.spark.sql.types.{DoubleType, FloatType, StructType}
import org.apache.spark.util.SerializableConfiguration

import reprise.shim.protocol.ShimError

/**
 * One file as a data frame. Files are read one by one so that the order of rows is the order of files and, within a
 * file, the file's own: Spark packs the splits of many files by size, which would shuffle them.
 */
final class FrameReader(session: SparkSession) {
  private val schemas = new ConcurrentHashMap[String, StructType]()

  def read(source: FrameSource, file: FrameFile): DataFrame = {
    val all = if (TextTable.isText(source.format)) TextTable.frame(session, source, file.path) else typed(source.format, file)
    source.options.dropMissing.fold(all)(name => all.filter(hasValue(all, name)))
  }

  /** Which rows have a value in a column: neither null nor NaN. */
  private def hasValue(frame: DataFrame, name: String): Column = {
    val column = frame.col(s"`${name.replace("`", "``")}`")
    frame.schema(frame.schema.fieldNames.indexWhere(_.equalsIgnoreCase(name))).dataType match {
      case FloatType | DoubleType => column.isNotNull && !isnan(column)
      case _ => column.isNotNull
    }
  }

  private def typed(format: String, file: FrameFile): DataFrame = {
    val schema = schemas.computeIfAbsent(s"$format:${file.path}:${file.digest}", _ => schemaOf(format, file.path))
    format match {
      case "parquet" => session.read.schema(schema).parquet(file.path)
      case "orc" => session.read.schema(schema).orc(file.path)
      case "arrow" => arrow(file.path, schema)
      case other => throw unsupported(other)
    }
  }

  /** The columns of a file. */
  def schemaOf(format: String, path: String): StructType = format match {
    case "parquet" =>
      val converter = new ParquetToSparkSchemaConverter(session.sessionState.conf)
      ParquetFileFormat.readSchemaFromFooter(new Footer(new Path(path), footer(path)), converter)
    case "orc" => session.read.orc(path).schema
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

  /** Spark has no source of Arrow files; one partition reads the file's batches in order. */
  private def arrow(path: String, schema: StructType): DataFrame = {
    val configuration = new SerializableConfiguration(session.sessionState.newHadoopConf())
    val rows = session.sparkContext.parallelize(Seq(path), 1).mapPartitions { paths =>
      paths.flatMap(ArrowFile.rowsIn(_, configuration.value))
    }
    RowFrames.of(session, rows, schema)
  }

  private def unsupported(format: String): ShimError =
    ShimError.unsupported(
      s"frame: expected parquet, orc, csv, arrow or jsonl, got $format; convert it to Parquet",
      "format" -> format)
}
