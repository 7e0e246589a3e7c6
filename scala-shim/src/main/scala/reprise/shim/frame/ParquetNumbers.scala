package reprise.shim.frame

import scala.collection.JavaConverters._

import org.apache.parquet.HadoopReadOptions
import org.apache.parquet.column.page.PageReadStore
import org.apache.parquet.hadoop.ParquetFileReader
import org.apache.parquet.hadoop.util.HadoopInputFile
import org.apache.parquet.schema.MessageType
import org.apache.spark.TaskContext
import org.apache.spark.broadcast.Broadcast
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.{DataFrame, SparkSession}
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Alias, Attribute, Cast, Expression, ExprId}
import org.apache.spark.sql.execution.{FileSourceScanExec, ProjectExec, SparkPlan}
import org.apache.spark.sql.execution.datasources.{FileScanRDD, PartitionedFile}
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.{ColumnarBatch, ColumnVector}
import org.apache.spark.util.SerializableConfiguration

/**
 * Scans of Parquet of which number columns as they stand there are all that is selected: read by
 * `NumberPages` into doubles. Spark's own reader makes a dictionary number by number and looks every
 * cell up in it, half of a pass over numbers that hardly repeat, and makes rows of more than a
 * hundred columns. How files are split, where tasks run and what they count stays as Spark has it.
 */
final class ParquetNumbers(session: SparkSession) {
  /** One for all files: it is some hundred kilobytes. */
  private lazy val hadoop =
    session.sparkContext.broadcast(new SerializableConfiguration(session.sessionState.newHadoopConf()))

  /** Row groups of a selection that begins with `count` numbers; None where rows have to be made. */
  def groups(selection: DataFrame, count: Int): Option[RDD[NumberGroup]] =
    selection.queryExecution.sparkPlan match {
      case project: ProjectExec =>
        val (scan, made) = below(project, Map.empty)
        val names = project.projectList.take(count).flatMap(resolved(_, made)).flatMap { id =>
          scan.flatMap(_.output.find(_.exprId == id)).map(_.name)
        }
        // A row group gives each of its columns once.
        if (names.distinct.length < count) None else scan.flatMap(read(_, names.toIndexedSeq))
      case _ => None
    }

  private def read(scan: FileSourceScanExec, names: IndexedSeq[String]): Option[RDD[NumberGroup]] =
    scan.inputRDD match {
      case rdd: FileScanRDD =>
        val reader = new NumberReading(hadoop, names)
        // Spark's own scans hand out batches as rows.
        val read = (file: PartitionedFile) => reader.read(file).asInstanceOf[Iterator[InternalRow]]
        Some(new FileScanRDD(session, read, rdd.filePartitions, rdd.readSchema).asInstanceOf[RDD[NumberGroup]])
      case _ => None
    }

  /** The scan below projections, and what these make. */
  private def below(
      plan: SparkPlan, made: Map[ExprId, Expression]): (Option[FileSourceScanExec], Map[ExprId, Expression]) =
    plan match {
      case ProjectExec(list, child) => below(child, made ++ list.collect { case alias: Alias => alias.exprId -> alias.child })
      case scan: FileSourceScanExec => (Some(scan), made)
      case _ => (None, made)
    }

  /** The column of the scan that an expression is the number of. */
  @annotation.tailrec
  private def resolved(expression: Expression, made: Map[ExprId, Expression]): Option[ExprId] = expression match {
    case Alias(child, _) => resolved(child, made)
    case cast: Cast if cast.dataType == DoubleType && isNumber(cast.child.dataType) => resolved(cast.child, made)
    case attribute: Attribute if made.contains(attribute.exprId) => resolved(made(attribute.exprId), made)
    case attribute: Attribute if isNumber(attribute.dataType) => Some(attribute.exprId)
    case _ => None
  }

  private def isNumber(dataType: DataType): Boolean = dataType match {
    case DoubleType | FloatType | LongType | IntegerType | ShortType | ByteType => true
    case _ => false
  }
}

private final class NumberReading(hadoop: Broadcast[SerializableConfiguration], names: IndexedSeq[String])
    extends Serializable {
  /** The row groups whose middle lies in this part of a file, as Spark splits it. */
  def read(part: PartitionedFile): Iterator[NumberGroup] = {
    val path = part.toPath
    val own = hadoop.value.value
    val options = HadoopReadOptions.builder(own, path).withRange(part.start, part.start + part.length).build()
    val file = ParquetFileReader.open(HadoopInputFile.fromPath(path, own), options)
    Option(TaskContext.get()).foreach(_.addTaskCompletionListener[Unit](_ => file.close()))
    new NumberGroups(file, names)
  }
}

/**
 * The row groups of a part of a file. Each is read by columns while it is the last one handed out.
 */
private final class NumberGroups(file: ParquetFileReader, names: IndexedSeq[String]) extends Iterator[NumberGroup] {
  private val schema = {
    val all = file.getFileMetaData.getSchema
    new MessageType(all.getName, names.map(name => all.getFields.get(all.getFieldIndex(name))).asJava)
  }
  file.setRequestedSchema(schema)
  private val columns = schema.getColumns.asScala.map(new NumberPages(_)).toArray
  private var group: PageReadStore = _

  def hasNext: Boolean = {
    if (group == null) group = file.readNextRowGroup()
    group != null
  }

  def next(): NumberGroup = {
    val own = group
    group = null
    schema.getColumns.asScala.zip(columns).foreach { case (column, pages) => pages.open(own.getPageReader(column)) }
    new NumberGroup(Math.toIntExact(own.getRowCount), own.getRowIndexOffset.get, columns)
  }
}

/** A row group, as a batch without vectors: its columns are decoded where they are wanted. */
final class NumberGroup(rows: Int, val firstRow: Long, columns: Array[NumberPages])
    extends ColumnarBatch(Array.empty[ColumnVector], rows) {
  /** The next `count` numbers of a column. */
  def read(column: Int, out: Array[Double], at: Int, count: Int): Unit = columns(column).read(out, at, count)
}
