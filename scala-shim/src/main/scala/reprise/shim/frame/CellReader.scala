package reprise.shim.frame

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Cast, Expression}
import org.apache.spark.sql.types._
import org.apache.spark.unsafe.types.UTF8String

import reprise.shim.block.{ByteCodes, IntCodes, NumberVector, RawVector}

/** Reads one raw column out of Spark's rows into an array; runs in tasks. */
sealed trait CellReader extends Serializable {
  /** The expression as it is selected. */
  def prepare(expression: Expression, dataType: DataType): Expression
  def newBuffer(rows: Int): AnyRef
  def read(row: InternalRow, column: Int, buffer: AnyRef, at: Int): Unit
  def finish(buffer: AnyRef, rows: Int): RawVector
}

object CellReader {
  def of(column: RawColumn, dataType: DataType): CellReader = column.hashing match {
    case Some(hashing) =>
      if (!dataType.isInstanceOf[StringType]) throw column.text.refused(dataType.simpleString, "text to hash")
      new HashReader(hashing)
    case None => ofValues(column, dataType)
  }

  private def ofValues(column: RawColumn, dataType: DataType): CellReader = (column.categories, dataType) match {
    case (None, _: NumericType | BooleanType | NullType) => NumberReader
    case (None, other) =>
      throw column.text.refused(s"${other.simpleString}; encode it or convert it in its `sql`", "a number")
    case (Some(categories), ByteType | ShortType | IntegerType | LongType) =>
      new LongCategoryReader(categories.toArray)
    case (Some(categories), decimal: DecimalType) => new DecimalCategoryReader(categories.toArray, decimal)
    case (Some(categories), FloatType | DoubleType) => new DoubleCategoryReader(categories.toArray)
    case (Some(categories), _) => new TextCategoryReader(categories.toArray)
  }

  def codes(values: Array[Int], rows: Int, categories: Int): RawVector =
    if (categories <= 126) {
      val bytes = new Array[Byte](rows)
      var i = 0
      while (i < rows) {
        bytes(i) = values(i).toByte
        i += 1
      }
      new ByteCodes(bytes)
    } else new IntCodes(if (values.length == rows) values else values.take(rows))
}

/** Numbers; NaN where missing. */
object NumberReader extends CellReader {
  def prepare(expression: Expression, dataType: DataType): Expression = dataType match {
    case BooleanType => Cast(Cast(expression, IntegerType), DoubleType)
    case _ => Cast(expression, DoubleType)
  }
  def newBuffer(rows: Int): AnyRef = new Array[Double](rows)
  def read(row: InternalRow, column: Int, buffer: AnyRef, at: Int): Unit =
    buffer.asInstanceOf[Array[Double]](at) = if (row.isNullAt(column)) Double.NaN else row.getDouble(column)
  def finish(buffer: AnyRef, rows: Int): RawVector = {
    val values = buffer.asInstanceOf[Array[Double]]
    new NumberVector(if (values.length == rows) values else values.take(rows))
  }
}

/** Texts, hashed as they are read, in the order of the rows. */
final class HashReader(hashing: TextHashing) extends CellReader {
  def prepare(expression: Expression, dataType: DataType): Expression = expression
  def newBuffer(rows: Int): AnyRef = new HashedRows(hashing, rows)
  def read(row: InternalRow, column: Int, buffer: AnyRef, at: Int): Unit =
    buffer.asInstanceOf[HashedRows].add(if (row.isNullAt(column)) null else row.getUTF8String(column).getBytes)
  def finish(buffer: AnyRef, rows: Int): RawVector = buffer.asInstanceOf[HashedRows].result
}

/** The position of a value's text in a list: -1 where missing, -2 where not listed. */
sealed abstract class CategoryReader(categories: Array[String]) extends CellReader {
  protected def code(row: InternalRow, column: Int): Int
  def newBuffer(rows: Int): AnyRef = new Array[Int](rows)
  def read(row: InternalRow, column: Int, buffer: AnyRef, at: Int): Unit =
    buffer.asInstanceOf[Array[Int]](at) = if (row.isNullAt(column)) -1 else code(row, column)
  def finish(buffer: AnyRef, rows: Int): RawVector =
    CellReader.codes(buffer.asInstanceOf[Array[Int]], rows, categories.length)
}

final class TextCategoryReader(categories: Array[String]) extends CategoryReader(categories) {
  @transient private lazy val positions = {
    val map = new java.util.HashMap[UTF8String, Integer](categories.length * 2)
    categories.indices.foreach(i => map.putIfAbsent(UTF8String.fromString(categories(i)), i))
    map
  }
  def prepare(expression: Expression, dataType: DataType): Expression = CategoryText.cast(expression, dataType)
  protected def code(row: InternalRow, column: Int): Int = {
    val found = positions.get(row.getUTF8String(column))
    if (found == null) -2 else found
  }
}

/** Whole numbers are looked up as numbers: most are small, and text would cost ten times more. */
final class LongCategoryReader(categories: Array[String]) extends CategoryReader(categories) {
  @transient private lazy val positions = {
    val map = new java.util.HashMap[Long, Integer](categories.length * 2)
    categories.indices.foreach { i =>
      scala.util.Try(categories(i).toLong).toOption
        .filter(_.toString == categories(i))
        .foreach(value => map.putIfAbsent(value, i))
    }
    map
  }
  def prepare(expression: Expression, dataType: DataType): Expression = Cast(expression, LongType)
  protected def code(row: InternalRow, column: Int): Int = {
    val found = positions.get(row.getLong(column))
    if (found == null) -2 else found
  }
}

/** Decimals are looked up with all their digits: a double would make one category of many ids. */
final class DecimalCategoryReader(categories: Array[String], dataType: DecimalType) extends CategoryReader(categories) {
  @transient private lazy val positions = {
    val map = new java.util.HashMap[java.math.BigDecimal, Integer](categories.length * 2)
    categories.indices.foreach { i =>
      scala.util.Try(new java.math.BigDecimal(categories(i)).setScale(dataType.scale)).toOption
        .filter(CategoryText.of(_) == categories(i))
        .foreach(value => map.putIfAbsent(value, i))
    }
    map
  }
  def prepare(expression: Expression, dataType: DataType): Expression = expression
  protected def code(row: InternalRow, column: Int): Int = {
    val found = positions.get(row.getDecimal(column, dataType.precision, dataType.scale).toJavaBigDecimal)
    if (found == null) -2 else found
  }
}

final class DoubleCategoryReader(categories: Array[String]) extends CategoryReader(categories) {
  @transient private lazy val positions = {
    val map = new java.util.HashMap[String, Integer](categories.length * 2)
    categories.indices.foreach(i => map.putIfAbsent(categories(i), i))
    map
  }
  def prepare(expression: Expression, dataType: DataType): Expression = Cast(expression, DoubleType)
  protected def code(row: InternalRow, column: Int): Int = {
    val value = row.getDouble(column)
    val found = if (value.isNaN) null else positions.get(CategoryText.of(value))
    if (value.isNaN) -1 else if (found == null) -2 else found
  }
}
