package reprise.shim.frame

import java.nio.ByteBuffer
import java.util.UUID

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Expression, LeafExpression, UnaryExpression}
import org.apache.spark.sql.catalyst.expressions.codegen.CodegenFallback
import org.apache.spark.sql.types._
import org.apache.spark.unsafe.types.UTF8String

import reprise.shim.protocol.ShimError

/** A column that can't be read: whoever computes with it is told why. */
final case class Refused(message: String, dataType: DataType) extends LeafExpression with CodegenFallback {
  override def nullable: Boolean = true
  override def eval(input: InternalRow): Any = throw ShimError.data(message)
}

/** Nanoseconds since 1970 as a timestamp, which holds microseconds: finer times would lose what tells them apart. */
final case class NanosToMicros(child: Expression, column: String) extends UnaryExpression with CodegenFallback {
  override def dataType: DataType = TimestampType
  override protected def nullSafeEval(nanos: Any): Any = {
    val value = nanos.asInstanceOf[Long]
    if (value % 1000 != 0) {
      throw ShimError.data(
        s"data: expected times in whole microseconds in column `$column`, got nanoseconds ($value), which Spark does not keep; " +
          "write it with microseconds, or run with --engine local",
        "column" -> column)
    }
    value / 1000
  }
  override protected def withNewChildInternal(newChild: Expression): NanosToMicros = copy(child = newChild)
}

/** The 16 bytes of a UUID as its text. */
final case class UuidText(child: Expression) extends UnaryExpression with CodegenFallback {
  override def dataType: DataType = StringType
  override protected def nullSafeEval(bytes: Any): Any = {
    val buffer = ByteBuffer.wrap(bytes.asInstanceOf[Array[Byte]])
    UTF8String.fromString(new UUID(buffer.getLong, buffer.getLong).toString)
  }
  override protected def withNewChildInternal(newChild: Expression): UuidText = copy(child = newChild)
}
