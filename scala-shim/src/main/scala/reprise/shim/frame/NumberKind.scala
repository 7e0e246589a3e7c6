package reprise.shim.frame

import java.nio.ByteBuffer

import org.apache.parquet.column.values.ValuesReader
import org.apache.parquet.io.ParquetDecodingException
import org.apache.parquet.schema.{LogicalTypeAnnotation, PrimitiveType}
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName._

/**
 * How a type of Parquet keeps numbers, and the doubles that Spark would make of them.
 * @param width bytes of a plain number
 */
sealed abstract class NumberKind(val width: Int) {
  protected def take(in: ByteBuffer): Double
  def next(reader: ValuesReader): Double

  def copy(in: ByteBuffer, out: Array[Double], at: Int, count: Int): Unit = {
    var i = 0
    while (i < count) {
      out(at + i) = take(in)
      i += 1
    }
  }
}

object NumberKind {
  def of(column: PrimitiveType): NumberKind = column.getPrimitiveTypeName match {
    case DOUBLE => Doubles
    case FLOAT => Floats
    case INT64 => Longs
    case INT32 => ints(column.getLogicalTypeAnnotation)
    case other => throw new ParquetDecodingException(s"expected numbers in column ${column.getName}, got $other")
  }

  private def ints(annotation: LogicalTypeAnnotation): NumberKind = annotation match {
    case own: LogicalTypeAnnotation.IntLogicalTypeAnnotation =>
      (own.isSigned, own.getBitWidth) match {
        case (true, 8) => new Ints(_.toByte.toDouble)
        case (true, 16) => new Ints(_.toShort.toDouble)
        case (false, 32) => new Ints(number => (number & 0xffffffffL).toDouble)
        case _ => new Ints(_.toDouble)
      }
    case _ => new Ints(_.toDouble)
  }
}

private object Doubles extends NumberKind(8) {
  protected def take(in: ByteBuffer): Double = in.getDouble()
  def next(reader: ValuesReader): Double = reader.readDouble()
  override def copy(in: ByteBuffer, out: Array[Double], at: Int, count: Int): Unit = {
    in.asDoubleBuffer.get(out, at, count)
    in.position(in.position + 8 * count)
  }
}

private object Floats extends NumberKind(4) {
  protected def take(in: ByteBuffer): Double = in.getFloat().toDouble
  def next(reader: ValuesReader): Double = reader.readFloat().toDouble
}

private object Longs extends NumberKind(8) {
  protected def take(in: ByteBuffer): Double = in.getLong().toDouble
  def next(reader: ValuesReader): Double = reader.readLong().toDouble
}

private final class Ints(number: Int => Double) extends NumberKind(4) {
  protected def take(in: ByteBuffer): Double = number(in.getInt())
  def next(reader: ValuesReader): Double = number(reader.readInteger())
}
