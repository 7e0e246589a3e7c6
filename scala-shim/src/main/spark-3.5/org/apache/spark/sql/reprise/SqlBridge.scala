package org.apache.spark.sql.reprise

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.{Column, DataFrame, SparkSession}
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.Expression
import org.apache.spark.sql.types.StructType

/** In Spark SQL's package because frames over rows in its own form are private to it. */
object RowFrames {
  def of(session: SparkSession, rows: RDD[InternalRow], schema: StructType): DataFrame =
    session.internalCreateDataFrame(rows, schema)
}

/** A column from an expression of the tree. */
object Columns {
  def of(expression: Expression): Column = new Column(expression)
}
