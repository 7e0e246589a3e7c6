package reprise.shim.frame

import java.time.{DateTimeException, LocalDate, LocalDateTime, ZoneId, ZoneOffset, ZonedDateTime}
import java.time.temporal.IsoFields
import java.util.function.LongUnaryOperator

import org.apache.spark.unsafe.types.UTF8String

/** Times as microseconds since 1970, in UTC and the proleptic Gregorian calendar. */
object DuckDates {
  val Day = 86400000000L
  private val clock = Map(
    "hour" -> 3600000000L, "minute" -> 60000000L, "second" -> 1000000L, "millisecond" -> 1000L, "microsecond" -> 1L)
  /** Years and months that a unit has. */
  private val months =
    Map("month" -> 1, "quarter" -> 3, "year" -> 12, "decade" -> 120, "century" -> 1200, "millennium" -> 12000)

  def dateOf(micros: Long): LocalDate = LocalDate.ofEpochDay(Math.floorDiv(micros, Day))
  def timeOf(micros: Long): Long = Math.floorMod(micros, Day)

  def dayOf(year: Long, month: Long, day: Long): Option[Long] =
    try Some(LocalDate.of(Math.toIntExact(year), Math.toIntExact(month), Math.toIntExact(day)).toEpochDay)
    catch { case _: DateTimeException | _: ArithmeticException => None }

  def makeDate(year: Long, month: Long, day: Long): Any =
    dayOf(year, month, day).map(_.toInt: Any)
      .getOrElse(DuckFunctions.fault(s"years, months and days of a date, got $year-$month-$day"))

  /** Looked up by the text as Spark has it, which costs less than telling names apart in each row. */
  private val parts = {
    def date(part: LocalDate => Long): LongUnaryOperator = micros => part(dateOf(micros))
    def time(part: Long => Long): LongUnaryOperator = micros => part(timeOf(micros))
    def year(part: Long => Long): LongUnaryOperator = date(day => part(day.getYear.toLong))
    val all = Map[String, LongUnaryOperator](
      "year" -> year(identity),
      "month" -> date(_.getMonthValue),
      "day" -> date(_.getDayOfMonth),
      "hour" -> time(_ / 3600000000L),
      "minute" -> time(_ / 60000000L % 60),
      "second" -> time(_ / 1000000 % 60),
      "millisecond" -> time(_ % 60000000 / 1000),
      "microsecond" -> time(_ % 60000000),
      "dow" -> date(_.getDayOfWeek.getValue % 7),
      "isodow" -> date(_.getDayOfWeek.getValue),
      "doy" -> date(_.getDayOfYear),
      "week" -> date(_.get(IsoFields.WEEK_OF_WEEK_BASED_YEAR)),
      "isoyear" -> date(_.get(IsoFields.WEEK_BASED_YEAR)),
      "yearweek" -> date { day =>
        val weekYear = day.get(IsoFields.WEEK_BASED_YEAR).toLong
        weekYear * 100 + (if (weekYear > 0) 1 else -1) * day.get(IsoFields.WEEK_OF_WEEK_BASED_YEAR)
      },
      "quarter" -> date(day => (day.getMonthValue + 2) / 3),
      "decade" -> year(_ / 10),
      "century" -> year(year => if (year > 0) (year - 1) / 100 + 1 else year / 100 - 1),
      "millennium" -> year(year => if (year > 0) (year - 1) / 1000 + 1 else year / 1000 - 1),
      "era" -> year(year => if (year > 0) 1 else 0))
    val byText = new java.util.HashMap[UTF8String, LongUnaryOperator]
    all.foreach { case (name, part) => byText.put(UTF8String.fromString(name), part) }
    byText
  }

  def part(name: UTF8String, micros: Long): Long = parts.get(name).applyAsLong(micros)

  def trunc(name: String, micros: Long): Long = {
    def start(date: LocalDate): Long = date.toEpochDay * Day
    lazy val date = dateOf(micros)
    def years(step: Int): Long = start(LocalDate.of(date.getYear / step * step, 1, 1))
    name match {
      case "millennium" => years(1000)
      case "century" => years(100)
      case "decade" => years(10)
      case "year" => years(1)
      case "quarter" => start(date.withDayOfMonth(1).withMonth((date.getMonthValue - 1) / 3 * 3 + 1))
      case "month" => start(date.withDayOfMonth(1))
      case "week" => start(monday(date))
      case "isoyear" => start(isoYear(date))
      case "day" => micros - timeOf(micros)
      case unit => micros - Math.floorMod(micros, clock(unit))
    }
  }

  private def monday(date: LocalDate): LocalDate = date.minusDays(date.getDayOfWeek.getValue - 1L)
  private def isoYear(date: LocalDate): LocalDate =
    monday(LocalDate.of(date.get(IsoFields.WEEK_BASED_YEAR), 1, 4))

  /** Boundaries between two times. */
  def diff(name: String, from: Long, to: Long): Long = {
    def each(of: Long => Long): Long = of(to) - of(from)
    name match {
      case "day" => each(Math.floorDiv(_, Day))
      // Of weeks DuckDB counts whole ones.
      case "week" => each(Math.floorDiv(_, Day)) / 7
      case "isoyear" => each(dateOf(_).get(IsoFields.WEEK_BASED_YEAR).toLong)
      case "year" => each(dateOf(_).getYear.toLong)
      case "decade" => each(dateOf(_).getYear / 10L)
      case "century" => each(dateOf(_).getYear / 100L)
      case "millennium" => each(dateOf(_).getYear / 1000L)
      case unit if months.contains(unit) => each(t => Math.floorDiv(monthOf(t), months(unit).toLong))
      case unit => each(Math.floorDiv(_, clock(unit)))
    }
  }

  private def monthOf(micros: Long): Long = {
    val date = dateOf(micros)
    date.getYear * 12L + date.getMonthValue - 1
  }

  /** Whole units between two times. */
  def sub(name: String, from: Long, to: Long): Long = name match {
    case "day" => (to - from) / Day
    case "week" => (to - from) / (7 * Day)
    case unit if months.contains(unit) => monthsBetween(from, to) / months(unit)
    case unit => (to - from) / clock(unit)
  }

  /** From the last of a longer month to the last of a shorter one is a whole number of months. */
  private def monthsBetween(from: Long, to: Long): Long =
    if (from > to) -monthsBetween(to, from)
    else {
      val (first, last) = (dateOf(from), dateOf(to))
      val isLast = last.getDayOfMonth == last.lengthOfMonth
      val isAfter = first.getDayOfMonth > last.getDayOfMonth
      val day = if (isLast && isAfter) last.getDayOfMonth else first.getDayOfMonth
      val whole = monthOf(to) - monthOf(from)
      val isShort = last.getDayOfMonth < day || (last.getDayOfMonth == day && timeOf(to) < timeOf(from))
      if (isShort) whole - 1 else whole
    }

  def add(micros: Long, count: Long, days: Long, rest: Long): Long =
    try {
      val date = dateOf(micros).plusMonths(count).plusDays(days)
      Math.addExact(Math.addExact(Math.multiplyExact(date.toEpochDay, Day), timeOf(micros)), rest)
    } catch {
      case _: DateTimeException | _: ArithmeticException => DuckFunctions.fault("dates within range after an interval is added, got one beyond")
    }

  def lastDay(micros: Long): Long = {
    val date = dateOf(micros)
    date.withDayOfMonth(date.lengthOfMonth).toEpochDay * Day
  }

  /** From UTC to a zone's own time, or back; a time that a clock shows twice is the later one. */
  def zone(micros: Long, name: String, toZone: Boolean): Long = {
    val zone =
      try ZoneId.of(name)
      catch { case _: DateTimeException => DuckFunctions.fault(s"a time zone that exists, got '$name'") }
    val seconds = Math.floorDiv(micros, 1000000L)
    val local = LocalDateTime.ofEpochSecond(seconds, 0, ZoneOffset.UTC)
    val moved =
      if (toZone) local.atOffset(ZoneOffset.UTC).atZoneSameInstant(zone).toLocalDateTime.toEpochSecond(ZoneOffset.UTC)
      else ZonedDateTime.ofLocal(local, zone, null).withLaterOffsetAtOverlap.toEpochSecond
    moved * 1000000 + Math.floorMod(micros, 1000000L)
  }

  def dateText(day: Int): String = dateText(LocalDate.ofEpochDay(day.toLong))

  /** Years before the first count back from the first year BC. */
  private def dateText(date: LocalDate): String = {
    val year = date.getYear
    val text = f"${if (year > 0) year else 1 - year}%04d-${date.getMonthValue}%02d-${date.getDayOfMonth}%02d"
    if (year > 0) text else s"$text (BC)"
  }

  def timestampText(micros: Long): String = {
    val time = timeOf(micros)
    val fraction = f"${time % 1000000}%06d".reverse.dropWhile(_ == '0').reverse
    val text = f"${time / 3600000000L}%02d:${time / 60000000 % 60}%02d:${time / 1000000 % 60}%02d"
    val date = dateText(dateOf(micros))
    val (day, era) = if (date.endsWith(" (BC)")) (date.dropRight(5), " (BC)") else (date, "")
    s"$day $text${if (fraction.isEmpty) "" else s".$fraction"}$era"
  }
}
