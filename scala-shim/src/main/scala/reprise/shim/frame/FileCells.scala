package reprise.shim.frame

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Expression, LeafExpression, UnaryExpression}
import org.apache.spark.sql.catalyst.expressions.codegen.CodegenFallback
import org.apache.spark.sql.types._

import reprise.shim.protocol.ShimError

/** A column that can't be read: whoever computes with it is told why. */
final case class Refused(message: String, dataType: DataType) extends LeafExpression with CodegenFallback {
  override def nullable: Boolean = true
  override def eval(input: InternalRow): Any = throw ShimError.data(message)
}

/** Nanoseconds since 1970 as a timestamp, in microseconds. A finer time is an error. */
final case class NanosToMicros(child: Expression, column: String) extends UnaryExpression with CodegenFallback {
  override def dataType: DataType = TimestampType
  override protected def nullSafeEval(nanos: Any): Any = NanosToMicros.exact(nanos.asInstanceOf[Long], column)
  override protected def withNewChildInternal(newChild: Expression): NanosToMicros = copy(child = newChild)
}

object NanosToMicros {
  def exact(nanos: Long, column: String): Long = {
    if (nanos % 1000 != 0) {
      throw ShimError.data(
        s"data: expected times in whole microseconds in column `$column`, got nanoseconds ($nanos), which Spark does not keep; " +
          "write it with microseconds, or run with --engine local",
        "column" -> column)
    }
    nanos / 1000
  }
}
