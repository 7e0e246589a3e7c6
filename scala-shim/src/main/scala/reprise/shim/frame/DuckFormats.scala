package reprise.shim.frame

import java.time.LocalDate

import org.apache.spark.unsafe.types.UTF8String

/** Times by a format, with the directives that `driver/frame/sql/formats.ts` lets through. */
object DuckFormats {
  private val days = Vector("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
  private val monthNames = Vector(
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December")

  def dayName(micros: Long): String = days(DuckDates.dateOf(micros).getDayOfWeek.getValue - 1)
  def monthName(micros: Long): String = monthNames(DuckDates.dateOf(micros).getMonthValue - 1)

  def write(micros: Long, format: String): String = {
    val out = new StringBuilder
    var i = 0
    while (i < format.length) {
      if (format.charAt(i) == '%' && i + 1 < format.length) {
        val isPlain = format.charAt(i + 1) == '-'
        if (isPlain) i += 1
        i += 1
        out ++= directive(format.charAt(i), isPlain, micros)
      } else out += format.charAt(i)
      i += 1
    }
    out.toString
  }

  private def directive(code: Char, isPlain: Boolean, micros: Long): String = {
    val date = DuckDates.dateOf(micros)
    def part(name: String): Long = DuckDates.part(UTF8String.fromString(name), micros)
    def number(value: Long, width: Int): String =
      if (isPlain) value.toString else value.toString.reverse.padTo(width, '0').reverse
    def hour12: Long = if (part("hour") % 12 == 0) 12 else part("hour") % 12
    code match {
      case 'Y' => yearText(date)
      case 'y' => number(Math.floorMod(date.getYear, 100).toLong, 2)
      case 'm' => number(part("month"), 2)
      case 'd' => number(part("day"), 2)
      case 'H' => number(part("hour"), 2)
      case 'I' => number(hour12, 2)
      case 'M' => number(part("minute"), 2)
      case 'S' => number(part("second"), 2)
      case 'f' => number(part("microsecond") % 1000000, 6)
      case 'p' => if (part("hour") < 12) "AM" else "PM"
      case 'j' => number(part("doy"), 3)
      case 'a' => dayName(micros).take(3)
      case 'A' => dayName(micros)
      case 'b' => monthName(micros).take(3)
      case 'B' => monthName(micros)
      case 'w' => part("dow").toString
      case 'u' => part("isodow").toString
      case '%' => "%"
    }
  }

  private def yearText(date: LocalDate): String = {
    val year = date.getYear
    if (year >= 0) f"$year%04d" else f"-${-year}%04d"
  }

  /** What a text says of a time so far. */
  private final class Fields {
    var year = 1900L
    var month = 1L
    var day = 1L
    var hour = 0L
    var minute = 0L
    var second = 0L
    var micros = 0L
    /** 0 for AM, 12 for PM, -1 for neither. */
    var half = -1
    var isHour12 = false
  }

  /** The time, or null; a text that does not fit is an error unless `isTry`. */
  def read(text: String, format: String, isTry: Boolean): Any =
    parse(text, format).map(value => value: Any).getOrElse {
      if (isTry) null else DuckFunctions.fault(s"texts as $format, got '$text'; try_strptime makes them NULL")
    }

  private def parse(text: String, format: String): Option[Long] = {
    val fields = new Fields
    var at = text.indexWhere(c => !isSpace(c))
    if (at < 0) return None
    var i = 0
    while (i < format.length) {
      val code = format.charAt(i)
      if (code == '%' && i + 1 < format.length && format.charAt(i + 1) != '%') {
        i += 1
        at = readField(text, at, format.charAt(i), fields)
        if (at < 0) return None
      } else {
        if (code == '%') i += 1
        if (isSpace(code)) {
          // Spaces of a format stand for any number of them.
          while (at < text.length && isSpace(text.charAt(at))) at += 1
        } else if (at >= text.length || text.charAt(at) != code) return None
        else at += 1
      }
      i += 1
    }
    while (at < text.length && isSpace(text.charAt(at))) at += 1
    if (at == text.length) timeOf(fields) else None
  }

  private def isSpace(c: Char): Boolean = c == ' ' || (c >= '\t' && c <= '\r')

  /** Reads a directive from `at`; where it ended, or -1. */
  private def readField(text: String, at: Int, code: Char, fields: Fields): Int = code match {
    case 'b' | 'B' =>
      val found = monthNames.indices.find { month =>
        val name = if (code == 'b') monthNames(month).take(3) else monthNames(month)
        text.regionMatches(true, at, name, 0, name.length)
      }
      found.foreach(month => fields.month = month + 1L)
      found.map(month => at + (if (code == 'b') 3 else monthNames(month).length)).getOrElse(-1)
    case 'p' =>
      val half = Seq("am", "pm").indexWhere(text.regionMatches(true, at, _, 0, 2))
      fields.half = half * 12
      if (half < 0) -1 else at + 2
    case _ => readNumber(text, at, code, fields)
  }

  private def readNumber(text: String, at: Int, code: Char, fields: Fields): Int = {
    val width = code match { case 'Y' => 4; case 'f' => 9; case _ => 2 }
    var end = at
    while (end < text.length && end < at + width && text.charAt(end) >= '0' && text.charAt(end) <= '9') end += 1
    if (end == at) return -1
    val digits = text.substring(at, end)
    val value = digits.toLong
    val isValid = code match {
      case 'Y' => fields.year = value; true
      case 'y' => fields.year = if (value < 69) 2000 + value else 1900 + value; true
      case 'm' => fields.month = value; value >= 1 && value <= 12
      case 'd' => fields.day = value; value >= 1 && value <= 31
      case 'H' => fields.hour = value; value <= 23
      case 'I' => fields.hour = value % 12; fields.isHour12 = true; value >= 1 && value <= 12
      case 'M' => fields.minute = value; value <= 59
      case 'S' => fields.second = value; value <= 59
      case 'f' => fields.micros = digits.padTo(9, '0').take(6).toLong; true
    }
    if (isValid) end else -1
  }

  private def timeOf(fields: Fields): Option[Long] = {
    val hour =
      if (fields.half < 0) fields.hour
      else if (fields.isHour12) fields.hour + fields.half
      else fields.hour % 12 + fields.half
    DuckDates.dayOf(fields.year, fields.month, fields.day).map { day =>
      day * DuckDates.Day + ((hour * 60 + fields.minute) * 60 + fields.second) * 1000000 + fields.micros
    }
  }
}
