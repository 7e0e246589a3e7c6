package reprise.shim.frame

import org.apache.arrow.vector._
import org.apache.arrow.vector.types.{DateUnit, FloatingPointPrecision, TimeUnit}
import org.apache.arrow.vector.types.pojo.{ArrowType, Field}
import org.apache.spark.sql.types._
import org.apache.spark.unsafe.types.UTF8String

/** How cells of an Arrow column become those of a Spark row; nanoseconds stay (`NanosToMicros`). */
final case class ArrowCells(dataType: DataType, read: (FieldVector, Int) => Any)

object ArrowCells {
  private val MillisPerDay = 86400000L

  /** None for types that make no feature. Unsigned numbers become the next wider signed ones. */
  def of(field: Field): Option[ArrowCells] = field.getType match {
    case int: ArrowType.Int => Some(integer(int))
    case float: ArrowType.FloatingPoint => floating(float)
    case _: ArrowType.Bool => cells(BooleanType)((vector: BitVector, row) => vector.get(row) != 0)
    case _: ArrowType.Null => Some(ArrowCells(StringType, (_, _) => null))
    case _: ArrowType.Utf8 =>
      cells(StringType)((vector: VarCharVector, row) => UTF8String.fromBytes(vector.get(row)))
    case _: ArrowType.LargeUtf8 =>
      cells(StringType)((vector: LargeVarCharVector, row) => UTF8String.fromBytes(vector.get(row)))
    case decimal: ArrowType.Decimal if decimal.getBitWidth == 128 =>
      val (precision, scale) = (decimal.getPrecision, decimal.getScale)
      cells(DecimalType(precision, scale))((vector: DecimalVector, row) =>
        Decimal(vector.getObject(row), precision, scale))
    case date: ArrowType.Date if date.getUnit == DateUnit.DAY =>
      cells(DateType)((vector: DateDayVector, row) => vector.get(row))
    case _: ArrowType.Date =>
      cells(DateType)((vector: DateMilliVector, row) => Math.floorDiv(vector.get(row), MillisPerDay).toInt)
    case timestamp: ArrowType.Timestamp =>
      val toMicros = micros(timestamp.getUnit)
      val dataType = if (timestamp.getUnit == TimeUnit.NANOSECOND) LongType else TimestampType
      cells(dataType)((vector: TimeStampVector, row) => toMicros(vector.get(row)))
    case _ => None
  }

  private def cells[V <: FieldVector](dataType: DataType)(read: (V, Int) => Any): Option[ArrowCells] =
    Some(ArrowCells(dataType, (vector, row) => read(vector.asInstanceOf[V], row)))

  private def integer(int: ArrowType.Int): ArrowCells = {
    def whole(dataType: DataType)(convert: Long => Any) =
      ArrowCells(dataType, (vector, row) => convert(vector.asInstanceOf[BaseIntVector].getValueAsLong(row)))
    (int.getBitWidth, int.getIsSigned) match {
      case (8, true) => whole(ByteType)(_.toByte)
      case (8, false) | (16, true) => whole(ShortType)(_.toShort)
      case (16, false) | (32, true) => whole(IntegerType)(_.toInt)
      case (32, false) | (64, true) => whole(LongType)(identity)
      case _ =>
        whole(DecimalType(20, 0))(value => Decimal(new java.math.BigDecimal(java.lang.Long.toUnsignedString(value)), 20, 0))
    }
  }

  private def floating(float: ArrowType.FloatingPoint): Option[ArrowCells] = float.getPrecision match {
    case FloatingPointPrecision.SINGLE => cells(FloatType)((vector: Float4Vector, row) => vector.get(row))
    case FloatingPointPrecision.DOUBLE => cells(DoubleType)((vector: Float8Vector, row) => vector.get(row))
    case FloatingPointPrecision.HALF => None
  }

  private def micros(unit: TimeUnit): Long => Long = unit match {
    case TimeUnit.SECOND => Math.multiplyExact(_: Long, 1000000L)
    case TimeUnit.MILLISECOND => Math.multiplyExact(_: Long, 1000L)
    case TimeUnit.MICROSECOND => identity
    case TimeUnit.NANOSECOND => identity
  }
}
