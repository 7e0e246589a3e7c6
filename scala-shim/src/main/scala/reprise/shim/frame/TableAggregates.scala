package reprise.shim.frame

import org.apache.spark.sql.{AnalysisException, Column, DataFrame}
import org.apache.spark.sql.catalyst.analysis.UnresolvedAttribute
import org.apache.spark.sql.catalyst.expressions.Expression
import org.apache.spark.sql.catalyst.expressions.aggregate.AggregateExpression
import org.apache.spark.sql.catalyst.parser.CatalystSqlParser
import org.apache.spark.sql.functions.{col, lit}
import org.apache.spark.sql.reprise.Columns
import org.apache.spark.sql.types.{DoubleType, NumericType}

/**
 * Aggregates of metrics over a table of doubles c0, c1, ..: c0 says the group of a row. A name in a
 * formula stands for an expression of the cells, another one in each view, so that all views take
 * one job.
 */
final class TableAggregates(table: DataFrame, groups: Int) {
  private val grouped = table.filter(col("c0") >= lit(0.0) && col("c0") < lit(groups.toDouble)).groupBy(col("c0"))

  /** By view, formula and group; NaN for NULL and for a group without rows. */
  def values(texts: IndexedSeq[SqlText], views: IndexedSeq[Seq[(String, String)]]): IndexedSeq[IndexedSeq[Array[Double]]] = {
    val formulas = texts.map(SqlDialect.parse)
    val asked = views.flatMap { view =>
      val meanings = view.map { case (name, sql) => lower(name) -> CatalystSqlParser.parseExpression(sql) }.toMap
      texts.indices.map(f => meaning(texts(f), formulas(f), meanings, view.map(_._1)))
    }
    texts.indices.foreach(f => require(texts(f), asked(f)))
    val found = asked.grouped(TableAggregates.Together).flatMap(some => compute(some, texts)).toIndexedSeq
    found.grouped(texts.length).toIndexedSeq
  }

  private def meaning(
      text: SqlText, formula: Expression, meanings: Map[String, Expression], names: Seq[String]): Expression =
    formula.transformUp {
      case attribute: UnresolvedAttribute =>
        meanings.getOrElse(
          lower(attribute.nameParts.mkString(".")),
          throw text.refused(attribute.nameParts.mkString("."), s"one over the columns ${names.mkString(", ")}"))
    }

  /** @throws ShimError data unless it is an aggregate that depends on the rows alone, and a number */
  private def require(text: SqlText, expression: Expression): Unit =
    try {
      val frame = grouped.agg(Columns.of(expression).as("v"))
      val expressions = frame.queryExecution.analyzed.expressions ++ frame.queryExecution.analyzed.children.flatMap(_.expressions)
      def refuse(got: String): Nothing = throw text.refused(got, "one aggregate over the rows of a test set")
      if (expressions.exists(e => !e.deterministic || e.exists(SqlDialect.isOfSession))) {
        refuse("one whose value does not depend on the rows alone")
      }
      if (!expressions.exists(_.exists(_.isInstanceOf[AggregateExpression]))) refuse("one without an aggregate")
      frame.schema("v").dataType match {
        case _: NumericType =>
        case other => refuse(s"a value of type ${other.simpleString}")
      }
    } catch {
      case error: AnalysisException =>
        throw text.refused(SqlDialect.firstLine(error.getMessage), "one aggregate over the rows of a test set")
    }

  private def compute(expressions: IndexedSeq[Expression], texts: Seq[SqlText]): IndexedSeq[Array[Double]] = {
    val columns: IndexedSeq[Column] = expressions.zipWithIndex.map { case (expression, i) =>
      Columns.of(expression).cast(DoubleType).as(s"v$i")
    }
    val rows =
      try grouped.agg(columns.head, columns.tail: _*).collect()
      catch {
        case error: Exception if SqlDialect.valueError(error).isDefined =>
          throw texts.head.refused(SqlDialect.valueError(error).get, "values that it can take")
      }
    val values = expressions.map(_ => Array.fill(groups)(Double.NaN))
    rows.foreach { row =>
      val group = row.getDouble(0).toInt
      values.indices.foreach(i => if (!row.isNullAt(i + 1)) values(i)(group) = row.getDouble(i + 1))
    }
    values
  }

  private def lower(name: String): String =
    name.map(char => if (char >= 'A' && char <= 'Z') (char + 32).toChar else char)
}

object TableAggregates {
  /** Aggregates of one job. */
  private val Together = 200
}
