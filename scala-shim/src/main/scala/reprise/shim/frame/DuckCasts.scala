package reprise.shim.frame

import java.math.{BigDecimal, MathContext, RoundingMode}

/** Texts as numbers and times, and back, by DuckDB's rules. Null if `isTry` and not a number. */
object DuckCasts {
  private val Number = """\s*([+-]?)((?:\d+(?:_\d+)*)?)(?:\.((?:\d+(?:_\d+)*)?))?(?:[eE]([+-]?\d{1,4}))?\s*""".r
  private val Hexadecimal = """\s*(-?)0[xX]([0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)\s*""".r
  private val Binary = """\s*(-?)0[bB]([01]+(?:_[01]+)*)\s*""".r
  private val Word = """\s*([+-]?)(?i)(inf|infinity|nan)\s*""".r

  private def none(text: String, what: String, isTry: Boolean): Null =
    if (isTry) null else DuckFunctions.fault(s"texts that are $what, got '$text'; try_cast makes them NULL")

  /** Texts DuckDB alone takes for numbers: a sign before blanks, `+-5`, `12E`, `7e+`. */
  private val Odd = """(?s)\s*(?:[+-]\s+|\+-.*|[+-]?[\d._]+[eE][+-]?\s*)""".r

  private def noNumber(text: String, what: String, isTry: Boolean): Null = text match {
    case Odd() => DuckFunctions.fault(s"texts that are $what or plainly none, got '$text'; mend the text")
    case _ => none(text, what, isTry)
  }

  private def exact(text: String): Option[BigDecimal] = text match {
    case Number(sign, whole, part, exponent) if whole.nonEmpty || (part != null && part.nonEmpty) =>
      val digits = s"${if (whole.isEmpty) "0" else whole}.${if (part == null || part.isEmpty) "0" else part}".replace("_", "")
      val value = new BigDecimal(s"$sign$digits${if (exponent == null) "" else s"E$exponent"}")
      Some(if (value.signum == 0) BigDecimal.ZERO else value)
    case _ => None
  }

  def whole(text: String, isTry: Boolean): Any = {
    val value: Option[BigDecimal] = text match {
      case Hexadecimal(sign, digits) => Some(new BigDecimal(BigInt(sign + digits.replace("_", ""), 16).bigInteger))
      case Binary(sign, digits) => Some(new BigDecimal(BigInt(sign + digits.replace("_", ""), 2).bigInteger))
      case _ => exact(text)
    }
    value.filter(v => v.precision - v.scale <= 20).map(v => BigInt(v.setScale(0, RoundingMode.HALF_UP).toBigInteger))
      .filter(_.isValidLong).map(_.toLong: Any).getOrElse(noNumber(text, "whole numbers", isTry))
  }

  def double(text: String, isTry: Boolean): Any = text match {
    case Word(sign, word) =>
      val value = if (word.toLowerCase == "nan") Double.NaN else Double.PositiveInfinity
      if (sign == "-") -value else value
    case _ => exact(text).map(_.doubleValue: Any).getOrElse(noNumber(text, "numbers", isTry))
  }

  def boolean(text: String, isTry: Boolean): Any = text.toLowerCase match {
    case "true" | "t" | "yes" | "y" | "1" => true
    case "false" | "f" | "no" | "n" | "0" => false
    case _ => none(text, "true or false", isTry)
  }

  def decimal(text: String, width: Int, scale: Int, isTry: Boolean): String =
    exact(text).filter(v => v.precision - v.scale <= 60).map(_.setScale(scale, RoundingMode.HALF_UP))
      .filter(_.precision - scale <= width - scale).map(_.toPlainString)
      .getOrElse(noNumber(text, s"decimals of $width digits, $scale of them after the point", isTry))

  /** The double is multiplied first, as doubles are; what is rounded is the product. */
  def decimalOf(value: Double, width: Int, scale: Int, isTry: Boolean): String = {
    val product = DuckMath.round(value * math.pow(10, scale))
    if (!(math.abs(product) < math.pow(10, width))) {
      none(value.toString, s"numbers that fit a decimal of $width digits", isTry)
    } else new BigDecimal(product).movePointLeft(scale).setScale(scale, RoundingMode.HALF_UP).toPlainString
  }

  def float(value: Double, isTry: Boolean): Any =
    if (value.toFloat.isInfinite && !value.isInfinite) none(value.toString, "numbers that fit a float", isTry)
    else value.toFloat.toDouble

  /** The fewest digits that read back the same; an exponent from 1e16 and below 1e-4. */
  def textOf(value: Double): String =
    if (value.isNaN) "nan"
    else if (value.isInfinite) (if (value > 0) "inf" else "-inf")
    else if (value == 0) (if (1 / value < 0) "-0.0" else "0.0")
    else {
      val full = new BigDecimal(value)
      val shortest = (1 to 17).iterator
        .map(digits => full.round(new MathContext(digits, RoundingMode.HALF_EVEN)))
        .find(v => v.doubleValue == value)
        .getOrElse(full).stripTrailingZeros
      val magnitude = shortest.precision - shortest.scale - 1
      if (magnitude >= -4 && magnitude < 16) {
        val plain = shortest.toPlainString
        if (plain.contains('.')) plain else s"$plain.0"
      } else {
        val digits = shortest.unscaledValue.abs.toString
        val mantissa = if (digits.length == 1) digits else s"${digits.head}.${digits.tail}"
        val sign = if (shortest.signum < 0) "-" else ""
        f"$sign$mantissa${if (magnitude < 0) "e-" else "e+"}${math.abs(magnitude)}%02d"
      }
    }

  private val DateText = """\s*(\d{1,6})([-/\\ ])(\d{1,2})\2(\d{1,2})(?!\d)((?s).*)""".r
  private val TimeText = """[ T](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?)?Z?\s*""".r
  /** Begins as some form that DuckDB may read and this does not. */
  private val Doubtful = """(?i)\s*([+-]?\d.*|[+-].*|epoch.*|-?inf.*)""".r

  private def other(text: String, isTry: Boolean): Null = text match {
    case Doubtful(_) => DuckFunctions.fault(s"dates as 2024-01-05 and times as 2024-01-05 10:00:00, got '$text'; say try_strptime with its format")
    case _ => none(text, "dates", isTry)
  }

  /** Without strictness: what follows the day is not read, unless it is an era. */
  def date(text: String, isTry: Boolean): Any = text match {
    case DateText(year, _, month, day, rest) if !rest.contains("(") =>
      DuckDates.dayOf(year.toLong, month.toLong, day.toLong).map(_.toInt: Any).getOrElse(none(text, "dates", isTry))
    case _ => other(text, isTry)
  }

  def timestamp(text: String, isTry: Boolean): Any = text match {
    case DateText(year, _, month, day, rest) =>
      val time: Option[Long] = rest match {
        case blank if blank.trim.isEmpty => Some(0L)
        case TimeText(hour, minute, second, fraction) => timeOf(hour, minute, second, fraction)
        case _ => return other(text, isTry)
      }
      val micros = for {
        date <- DuckDates.dayOf(year.toLong, month.toLong, day.toLong)
        rest <- time
      } yield date * DuckDates.Day + rest
      micros.map(value => value: Any).getOrElse(none(text, "times", isTry))
    case _ => other(text, isTry)
  }

  private def timeOf(hour: String, minute: String, second: String, fraction: String): Option[Long] = {
    val seconds = if (second == null) 0 else second.toInt
    val micros = if (fraction == null) 0 else fraction.take(6).padTo(6, '0').toInt
    val isMidnight = hour.toInt == 24 && minute.toInt == 0 && seconds == 0 && micros == 0
    if ((hour.toInt < 24 || isMidnight) && minute.toInt < 60 && seconds < 60) {
      Some(((hour.toInt * 60L + minute.toInt) * 60 + seconds) * 1000000 + micros)
    } else None
  }
}
