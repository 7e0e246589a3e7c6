package reprise.shim.frame

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.catalyst.expressions.{Alias, Attribute, Cast, Expression, ExprId}
import org.apache.spark.sql.execution.{FileSourceScanExec, ProjectExec, SparkPlan}
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.{ColumnarBatch, ColumnVector}

/**
 * A scan whose rows need not be made: where all that is selected are number columns as they stand in
 * Parquet, its reader's batches are copied column by column.
 * @param columns where in a batch each selected column is
 * @param rowIndex where in a batch the row's number in its file is
 */
final case class BatchScan(batches: RDD[ColumnarBatch], columns: Array[Int], rowIndex: Int)

object BatchScan {
  /** As Spark calls the column that `_metadata.row_index` is made of. */
  private val RowIndex = "_tmp_metadata_row_index"

  /** Of a selection of `count` numbers and `_metadata.row_index`; None where rows have to be made. */
  def of(selection: DataFrame, count: Int): Option[BatchScan] =
    selection.queryExecution.sparkPlan match {
      case project: ProjectExec =>
        val (scan, made) = below(project, Map.empty)
        scan.filter(_.supportsColumnar).flatMap { scan =>
          val places = scan.output.map(_.exprId).zipWithIndex.toMap
          val columns = project.projectList.take(count).map(column => resolved(column, made).flatMap(places.get))
          val rowIndex = scan.output.indexWhere(_.name == RowIndex)
          if (rowIndex < 0 || columns.exists(_.isEmpty)) None
          else Some(BatchScan(scan.executeColumnar(), columns.map(_.get).toArray, rowIndex))
        }
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

  /** Copies `count` numbers from row `from` on; NaN where missing. */
  def copy(column: ColumnVector, from: Int, count: Int, out: Array[Double], at: Int): Unit = {
    column.dataType match {
      case DoubleType =>
        // Not through `getDoubles`, which makes an array a call.
        var i = 0
        while (i < count) {
          out(at + i) = column.getDouble(from + i)
          i += 1
        }
      case FloatType => fill(count, out, at, i => column.getFloat(from + i).toDouble)
      case LongType => fill(count, out, at, i => column.getLong(from + i).toDouble)
      case IntegerType => fill(count, out, at, i => column.getInt(from + i).toDouble)
      case ShortType => fill(count, out, at, i => column.getShort(from + i).toDouble)
      case ByteType => fill(count, out, at, i => column.getByte(from + i).toDouble)
      case other => throw new IllegalStateException(s"scan: expected numbers, got ${other.simpleString}")
    }
    if (column.hasNull) {
      var i = 0
      while (i < count) {
        if (column.isNullAt(from + i)) out(at + i) = Double.NaN
        i += 1
      }
    }
  }

  private def fill(count: Int, out: Array[Double], at: Int, number: Int => Double): Unit = {
    var i = 0
    while (i < count) {
      out(at + i) = number(i)
      i += 1
    }
  }
}
