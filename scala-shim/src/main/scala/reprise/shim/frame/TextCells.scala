package reprise.shim.frame

import java.time.{DateTimeException, LocalDate}

import org.apache.spark.sql.types._
import org.apache.spark.unsafe.types.UTF8String

/**
 * Kinds of cells of CSV and JSON lines, and how they become values: the grammar of
 * docs/job-file.md. DuckDB has the same in `gpu-executor/cpu/duckdb/text-cells.ts`; the bits are
 * those of `driver/frame/text-columns.ts`.
 */
object TextCells {
  val Whole = 1
  val Huge = 2
  val Decimal = 4
  val Bool = 8
  val Date = 16
  val Timestamp = 32
  val Text = 64
  val Nested = 128

  /** What values of a type the job states may look like. */
  val Allowed: Map[String, Int] = Map(
    "integer" -> Whole, "double" -> (Whole | Huge | Decimal), "boolean" -> Bool, "date" -> Date,
    "timestamp" -> (Date | Timestamp), "text" -> 127)

  /** The type of a column that holds objects or lists: no expression takes it. */
  val NestedType: DataType = StructType(Seq(StructField("nested json", NullType)))

  def sparkType(name: String): DataType = name match {
    case "integer" => LongType
    case "double" => DoubleType
    case "boolean" => BooleanType
    case "date" => DateType
    case "timestamp" => TimestampType
    case "nested" => NestedType
    case _ => StringType
  }
}

/** Decimal and thousands separators of numbers; 0 for none. */
final class TextCells(decimal: Char, thousands: Char) extends Serializable {
  import TextCells._

  def kind(text: String): Int = {
    val plain = number(text)
    if (plain != null) kindOfNumber(plain)
    else if (text.equalsIgnoreCase("true") || text.equalsIgnoreCase("false")) Bool
    else kindOfTime(text)
  }

  def isNaN(text: String): Boolean = java.lang.Double.parseDouble(number(text)).isNaN

  /** The kind of a number in plain notation. */
  def kindOfNumber(plain: String): Int = {
    val digits = isDigits(plain)
    if (digits && plain.length <= 18) Whole
    else {
      val value = java.lang.Double.parseDouble(plain)
      if (value == Math.rint(value) && Math.abs(value) < 9007199254740992.0) Whole
      else if (!digits) Decimal
      else if (longOf(plain).isDefined) Whole
      else Huge
    }
  }

  def kindOfTime(text: String): Int =
    if (days(text).isDefined) Date else if (micros(text).isDefined) Timestamp else Text

  /** A cell as a value of Spark's own form; its kind is known to be one of the type's. */
  def value(text: String, dataType: DataType): Any = dataType match {
    case LongType => long(number(text))
    case DoubleType => java.lang.Double.parseDouble(number(text))
    case BooleanType => text.equalsIgnoreCase("true")
    case DateType => days(text).get
    case TimestampType => days(text).map(_ * 86400000000L).getOrElse(micros(text).get)
    case _ => UTF8String.fromString(text)
  }

  private def long(plain: String): Long =
    longOf(plain).getOrElse(java.lang.Double.parseDouble(plain).toLong)

  private def longOf(plain: String): Option[Long] =
    if (!isDigits(plain)) None
    else try Some(java.lang.Long.parseLong(plain)) catch { case _: NumberFormatException => None }

  private def isDigits(plain: String): Boolean = {
    var i = if (plain.charAt(0) == '+' || plain.charAt(0) == '-') 1 else 0
    while (i < plain.length && digit(plain.charAt(i))) i += 1
    i == plain.length
  }

  private def digit(char: Char): Boolean = char >= '0' && char <= '9'

  private def space(char: Char): Boolean = char == ' ' || (char >= '\t' && char <= '\r')

  /** The number in plain notation, with a point and no thousands marks; null if it is none. */
  private def number(text: String): String = {
    var from = 0
    var to = text.length
    while (from < to && space(text.charAt(from))) from += 1
    while (to > from && space(text.charAt(to - 1))) to -= 1
    var at = from
    if (at < to && (text.charAt(at) == '+' || text.charAt(at) == '-')) at += 1
    val whole = digits(text, at, to)
    val wholeEnd = if (thousands != 0) groups(text, at, whole, to) else whole
    val hasWhole = wholeEnd > at
    var end = wholeEnd
    if (end < to && text.charAt(end) == decimal) {
      val fraction = digits(text, end + 1, to)
      if (!hasWhole && fraction == end + 1) return null
      end = fraction
    } else if (!hasWhole) return word(text, from, at, to)
    if (end < to && (text.charAt(end) == 'e' || text.charAt(end) == 'E')) {
      var power = end + 1
      if (power < to && (text.charAt(power) == '+' || text.charAt(power) == '-')) power += 1
      val last = digits(text, power, to)
      if (last == power) return null
      end = last
    }
    if (end != to) null
    else {
      val plain = text.substring(from, to)
      val joined = if (thousands == 0) plain else plain.filter(_ != thousands)
      if (decimal == '.') joined else joined.replace(decimal, '.')
    }
  }

  private def digits(text: String, from: Int, to: Int): Int = {
    var at = from
    while (at < to && digit(text.charAt(at))) at += 1
    at
  }

  /** End of groups of three after the first one to three digits; end of digits if there is none. */
  private def groups(text: String, from: Int, first: Int, to: Int): Int = {
    var end = first
    if (first - from >= 1 && first - from <= 3) {
      while (end < to && text.charAt(end) == thousands && digits(text, end + 1, to) == end + 4) end += 4
    }
    end
  }

  private def word(text: String, from: Int, at: Int, to: Int): String = {
    val sign = if (at > from && text.charAt(from) == '-') "-" else ""
    text.substring(at, to).toLowerCase(java.util.Locale.ROOT) match {
      case "inf" | "infinity" => s"${sign}Infinity"
      case "nan" => "NaN"
      case _ => null
    }
  }

  /** Days since 1970 of `2024-01-31`. */
  private def days(text: String): Option[Int] = if (text.length == 10) daysAt(text) else None

  private def daysAt(text: String): Option[Int] = {
    val isDate = text.length >= 10 && !text.startsWith("0000") && text.charAt(4) == '-' && text.charAt(7) == '-' &&
      digits(text, 0, 4) == 4 && digits(text, 5, 7) == 7 && digits(text, 8, 10) == 10
    if (!isDate) None
    else
      try {
        val date = LocalDate.of(text.substring(0, 4).toInt, text.substring(5, 7).toInt, text.substring(8, 10).toInt)
        Some(date.toEpochDay.toInt)
      } catch { case _: DateTimeException => None }
  }

  /** Microseconds since 1970 UTC of `2024-01-31 10:00`, maybe with seconds, fraction and zone. */
  private def micros(text: String): Option[Long] = text match {
    case Instant(hour, minute, second, fraction, zone) =>
      daysAt(text).map { date =>
        val seconds = hour.toInt * 3600L + minute.toInt * 60L + Option(second).fold(0L)(_.toLong) - offset(zone)
        val part = Option(fraction).fold(0L)(digits => digits.take(6).padTo(6, '0').toLong)
        date * 86400000000L + seconds * 1000000L + part
      }
    case _ => None
  }

  private def offset(zone: String): Long =
    if (zone == null || zone == "Z") 0L
    else {
      val figures = zone.drop(1).filter(digit).padTo(4, '0')
      val seconds = figures.take(2).toLong * 3600 + figures.drop(2).toLong * 60
      if (zone.charAt(0) == '-') -seconds else seconds
    }
}

private object Instant {
  private val pattern = java.util.regex.Pattern.compile(
    "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T]([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(?:[.]([0-9]{1,9}))?)?" +
      "(Z|[+-](?:0[0-9]|1[0-7])(?::?[0-5][0-9])?)?")

  def unapply(text: String): Option[(String, String, String, String, String)] =
    if (text.length < 16 || text.charAt(4) != '-') None
    else {
      val found = pattern.matcher(text)
      if (!found.matches()) None
      else Some((found.group(1), found.group(2), found.group(3), found.group(4), found.group(5)))
    }
}
