package org.apache.spark.sql.reprise

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.{classic, Column, DataFrame, SparkSession}
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.Expression
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan
import org.apache.spark.sql.types.StructType

/** In Spark SQL's package because frames over rows in its own form are private to it. */
object RowFrames {
  def of(session: SparkSession, rows: RDD[InternalRow], schema: StructType): DataFrame =
    session.asInstanceOf[classic.SparkSession].internalCreateDataFrame(rows, schema)
}

/** A column from an expression of the tree. */
object Columns {
  def of(expression: Expression): Column = classic.ExpressionUtils.column(expression)
}

/** A session with the settings of another and views of its own. */
object IsolatedSession {
  def of(session: SparkSession): SparkSession = classicOf(session).cloneSession()

  /** Gives a frame of another session a name in this one. */
  def register(session: SparkSession, name: String, frame: DataFrame): Unit =
    rows(session, frame.queryExecution.analyzed).createOrReplaceTempView(name)

  def rows(session: SparkSession, plan: LogicalPlan): DataFrame =
    classic.Dataset.ofRows(classicOf(session), plan)

  private def classicOf(session: SparkSession): classic.SparkSession =
    session.asInstanceOf[classic.SparkSession]
}
