package reprise.shim.frame

import java.util.concurrent.ConcurrentHashMap

import org.apache.hadoop.fs.Path
import org.apache.parquet.hadoop.ParquetFileReader
import org.apache.parquet.hadoop.metadata.ParquetMetadata
import org.apache.parquet.hadoop.util.HadoopInputFile
import org.apache.spark.sql.{Column, DataFrame, DataFrameReader, SparkSession}
import org.apache.spark.sql.execution.datasources.DataSource
import org.apache.spark.sql.reprise.RowFrames
import org.apache.spark.sql.functions.isnan
import org.apache.spark.sql.types.{DoubleType, FloatType, StructType}
import org.apache.spark.util.SerializableConfiguration

import reprise.shim.protocol.ShimError

/**
 * One file as a data frame. Files are read one by one so that the order of rows is the order of
 * files and, within a file, the file's own: Spark packs the splits of many files by size, which
 * would shuffle them.
 */
final class FrameReader(session: SparkSession) {
  private val known = new ConcurrentHashMap[String, FileColumns]()

  def read(source: FrameSource, file: FrameFile): DataFrame = {
    val own = if (TextTable.isText(source.format)) TextTable.frame(session, source, file.path) else typed(source.format, file)
    val all = PartitionValue.add(own, file.partition)
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
    val columns = known.computeIfAbsent(s"$format:${file.path}:${file.digest}", _ => columnsOf(format, file.path))
    val schema = columns.stored
    columns.of(format match {
      case "parquet" => literal.schema(schema).parquet(file.path)
      case "orc" => literal.schema(schema).orc(file.path)
      case "arrow" => arrow(file.path, schema)
      case other => throw unsupported(other)
    })
  }

  /** A path names one file, whatever characters are in it. */
  private def literal: DataFrameReader = session.read.option(DataSource.GLOB_PATHS_KEY, "false")

  /** The columns of a file, those that can't be read among them. */
  def columnsOf(format: String, path: String): FileColumns = format match {
    case "parquet" => ParquetColumns.of(path, footer(path).getFileMetaData.getSchema, session.sessionState.conf)
    case "orc" => FileColumns(path, DataFaults.guard(path)(literal.orc(path).schema))
    case "arrow" => ArrowFile.columnsOf(path, session.sessionState.newHadoopConf())
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
