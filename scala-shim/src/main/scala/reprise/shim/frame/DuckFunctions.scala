package reprise.shim.frame

import org.apache.spark.sql.catalyst.util.{ArrayData, GenericArrayData}
import org.apache.spark.sql.types._
import org.apache.spark.unsafe.types.UTF8String

/**
 * The functions of DuckDB that no expression of Spark's equals, by the names under which the driver
 * prints them (`driver/frame/sql/`). Types: BIGINT is Long, DOUBLE Double, INT Int, BOOLEAN
 * Boolean, STRING UTF8String.
 */
object DuckFunctions {

  lazy val byName: Map[String, DuckFunction] =
    (numbers ++ texts ++ patterns ++ casts ++ dates).map { case (name, function) => s"duckdb_$name" -> function }.toMap

  def fault(message: String): Nothing = throw new DuckFault(message)

  private def fn(result: DataType)(body: Array[Any] => Any): DuckFunction = new DuckFunction {
    val dataType: DataType = result
    def call(arguments: Array[Any]): Any = body(arguments)
  }
  private def of(x: Any): Double = x.asInstanceOf[Double]
  private def long(x: Any): Long = x.asInstanceOf[Long]
  private def int(x: Any): Int = x.asInstanceOf[Int]
  private def flag(x: Any): Boolean = x.asInstanceOf[Boolean]
  private def text(x: Any): String = x.asInstanceOf[UTF8String].toString
  private def utf8(x: String): UTF8String = if (x == null) null else UTF8String.fromString(x)

  private def double(f: Double => Double): DuckFunction = fn(DoubleType)(a => f(of(a(0))))
  private def double2(f: (Double, Double) => Double): DuckFunction = fn(DoubleType)(a => f(of(a(0)), of(a(1))))
  private def test(f: Double => Boolean): DuckFunction = fn(BooleanType)(a => f(of(a(0))))

  private def numbers: Seq[(String, DuckFunction)] = Seq(
    "remainder" -> double2(_ % _),
    "pow" -> double2(DuckMath.pow),
    "sign" -> double(x => if (x > 0) 1 else if (x < 0) -1 else 0),
    "ceil" -> double(x => math.ceil(x)),
    "floor" -> double(x => math.floor(x)),
    "trunc" -> double(DuckMath.trunc),
    "round" -> double(DuckMath.round),
    "round_to" -> fn(DoubleType)(a => DuckMath.scaled(of(a(0)), int(a(1)), DuckMath.round)),
    "trunc_to" -> fn(DoubleType)(a => DuckMath.scaled(of(a(0)), int(a(1)), DuckMath.trunc)),
    "even" -> double(DuckMath.even),
    "sqrt" -> double(x => if (x < 0) fault(s"numbers from 0 in sqrt, got $x") else math.sqrt(x)),
    "ln" -> double(x => math.log(DuckMath.positive(x))),
    "log10" -> double(x => math.log10(DuckMath.positive(x))),
    "log2" -> double(x => DuckMath.log2(DuckMath.positive(x))),
    "log" -> double2(DuckMath.log),
    "cbrt" -> double(x => math.cbrt(x)),
    "exp" -> double(x => math.exp(x)),
    "sin" -> double(x => math.sin(DuckMath.finite(x))),
    "cos" -> double(x => math.cos(DuckMath.finite(x))),
    "tan" -> double(x => math.tan(DuckMath.finite(x))),
    "asin" -> double(x => math.asin(DuckMath.unit(x))),
    "acos" -> double(x => math.acos(DuckMath.unit(x))),
    "atan" -> double(x => math.atan(x)),
    "sinh" -> double(x => math.sinh(x)),
    "cosh" -> double(x => math.cosh(x)),
    "tanh" -> double(x => math.tanh(x)),
    "atan2" -> double2(math.atan2),
    "degrees" -> double(x => x * (180 / math.Pi)),
    "radians" -> double(x => x * (math.Pi / 180)),
    "isnan" -> test(_.isNaN),
    "isinf" -> test(_.isInfinite),
    "isfinite" -> test(x => !x.isNaN && !x.isInfinite),
    "shift_left" -> fn(LongType)(a => DuckMath.shiftLeft(long(a(0)), long(a(1)), int(a(2)))),
    "shift_right" -> fn(LongType)(a => DuckMath.shiftRight(long(a(0)), long(a(1)), int(a(2)))),
    "gcd" -> fn(LongType)(a => DuckMath.gcd(long(a(0)), long(a(1)))),
    "lcm" -> fn(LongType)(a => DuckMath.lcm(long(a(0)), long(a(1)))))

  private def texts: Seq[(String, DuckFunction)] = Seq(
    "upper" -> fn(StringType)(a => utf8(DuckTexts.upper(text(a(0))))),
    "lower" -> fn(StringType)(a => utf8(DuckTexts.lower(text(a(0))))),
    "trim" -> fn(StringType)(a => utf8(DuckTexts.trim(text(a(0)), DuckTexts.isSpace, int(a(1))))),
    "trim_of" -> fn(StringType) { a =>
      val chars = text(a(1)).codePoints().toArray
      utf8(DuckTexts.trim(text(a(0)), chars.contains(_), int(a(2))))
    },
    "substring" -> fn(StringType)(a => utf8(DuckTexts.substring(text(a(0)), long(a(1)), long(a(2))))),
    "slice" -> fn(StringType)(a => utf8(DuckTexts.slice(text(a(0)), long(a(1)), long(a(2))))),
    "left" -> fn(StringType)(a => utf8(DuckTexts.left(text(a(0)), long(a(1))))),
    "right" -> fn(StringType)(a => utf8(DuckTexts.right(text(a(0)), long(a(1))))),
    "repeat" -> fn(StringType)(a => utf8(text(a(0)) * math.max(0, long(a(1)).toInt))),
    "lpad" -> fn(StringType)(a => utf8(DuckTexts.pad(text(a(0)), long(a(1)), text(a(2)), before = true))),
    "rpad" -> fn(StringType)(a => utf8(DuckTexts.pad(text(a(0)), long(a(1)), text(a(2)), before = false))),
    "split" -> fn(ArrayType(StringType)) { a =>
      new GenericArrayData(DuckTexts.split(text(a(0)), text(a(1))).map(part => utf8(part.asInstanceOf[String]): Any))
    },
    "element" -> fn(StringType) { a =>
      val list = a(0).asInstanceOf[ArrayData]
      val at = if (long(a(1)) < 0) list.numElements() + long(a(1)) else long(a(1)) - 1
      if (at < 0 || at >= list.numElements()) null else list.getUTF8String(at.toInt)
    },
    "count" -> fn(LongType)(a => a(0).asInstanceOf[ArrayData].numElements().toLong),
    "code" -> fn(IntegerType) { a =>
      val value = text(a(0))
      if (value.isEmpty) int(a(1)) else value.codePointAt(0)
    },
    "levenshtein" -> fn(LongType) { a =>
      DuckTexts.levenshtein(a(0).asInstanceOf[UTF8String].getBytes, a(1).asInstanceOf[UTF8String].getBytes)
    })

  private def patterns: Seq[(String, DuckFunction)] = Seq(
    "like" -> fn(BooleanType)(a => DuckPatterns.like(text(a(0)), text(a(1)), text(a(2)))),
    "regexp_matches" -> fn(BooleanType)(a => DuckPatterns.matches(text(a(0)), text(a(1)), text(a(2)), flag(a(3)))),
    "regexp_extract" -> fn(StringType)(a => utf8(DuckPatterns.extract(text(a(0)), text(a(1)), text(a(2)), int(a(3))))),
    "regexp_replace" -> fn(StringType)(a => utf8(DuckPatterns.replace(text(a(0)), text(a(1)), text(a(2)), text(a(3))))))

  private def casts: Seq[(String, DuckFunction)] = Seq(
    "text_whole" -> fn(LongType)(a => DuckCasts.whole(text(a(0)), flag(a(1)))),
    "text_double" -> fn(DoubleType)(a => DuckCasts.double(text(a(0)), flag(a(1)))),
    "text_boolean" -> fn(BooleanType)(a => DuckCasts.boolean(text(a(0)), flag(a(1)))),
    "text_decimal" -> fn(StringType)(a => utf8(DuckCasts.decimal(text(a(0)), int(a(1)), int(a(2)), flag(a(3))))),
    "double_decimal" -> fn(StringType) { a =>
      utf8(DuckCasts.decimalOf(of(a(0)), int(a(1)), int(a(2)), flag(a(3))))
    },
    "double_float" -> fn(DoubleType)(a => DuckCasts.float(a(0).asInstanceOf[Number].doubleValue, flag(a(1)))),
    "double_text" -> fn(StringType)(a => utf8(DuckCasts.textOf(of(a(0))))),
    "text_date" -> fn(IntegerType)(a => DuckCasts.date(text(a(0)), flag(a(1)))),
    "text_timestamp" -> fn(LongType)(a => DuckCasts.timestamp(text(a(0)), flag(a(1)))),
    "date_text" -> fn(StringType)(a => utf8(DuckDates.dateText(int(a(0))))),
    "timestamp_text" -> fn(StringType)(a => utf8(DuckDates.timestampText(long(a(0))) + text(a(1)))))

  private def dates: Seq[(String, DuckFunction)] = Seq(
    "date_part" -> fn(LongType)(a => DuckDates.part(a(0).asInstanceOf[UTF8String], long(a(1)))),
    "date_trunc" -> fn(LongType)(a => DuckDates.trunc(text(a(0)), long(a(1)))),
    "date_diff" -> fn(LongType)(a => DuckDates.diff(text(a(0)), long(a(1)), long(a(2)))),
    "date_sub" -> fn(LongType)(a => DuckDates.sub(text(a(0)), long(a(1)), long(a(2)))),
    "add" -> fn(LongType)(a => DuckDates.add(long(a(0)), long(a(1)), long(a(2)), long(a(3)))),
    "dayname" -> fn(StringType)(a => utf8(DuckFormats.dayName(long(a(0))))),
    "monthname" -> fn(StringType)(a => utf8(DuckFormats.monthName(long(a(0))))),
    "last_day" -> fn(LongType)(a => DuckDates.lastDay(long(a(0)))),
    "make_date" -> fn(IntegerType)(a => DuckDates.makeDate(long(a(0)), long(a(1)), long(a(2)))),
    "zone" -> fn(LongType)(a => DuckDates.zone(long(a(0)), text(a(1)), flag(a(2)))),
    "strftime" -> fn(StringType)(a => utf8(DuckFormats.write(long(a(0)), text(a(1))))),
    "strptime" -> fn(LongType)(a => DuckFormats.read(text(a(0)), text(a(1)), flag(a(2)))))
}

/** Arithmetic as C's, and DuckDB's own. */
object DuckMath {
  private def fault(message: String): Nothing = DuckFunctions.fault(message)

  /** In C one to any power is one, and minus one to an infinite power too. */
  def pow(x: Double, y: Double): Double =
    if (x == 1.0 || (x == -1.0 && y.isInfinite)) 1.0 else math.pow(x, y)

  def trunc(x: Double): Double = if (x < 0) math.ceil(x) else math.floor(x)

  /** Half away from zero; exact, as `floor(x + 0.5)` is not. */
  def round(x: Double): Double = {
    val whole = trunc(x)
    if (math.abs(x - whole) >= 0.5) whole + math.signum(x) else whole
  }

  /** Rounds `x` times a power of ten; what overflows is left as it is. */
  def scaled(x: Double, places: Int, rounding: Double => Double): Double =
    if (places < 0) {
      val power = math.pow(10, -places.toDouble)
      val result = rounding(x / power) * power
      if (result.isNaN || result.isInfinite) 0.0 else result
    } else {
      val power = math.pow(10, places.toDouble)
      val result = rounding(x * power) / power
      if (result.isNaN || result.isInfinite) x else result
    }

  def even(x: Double): Double = {
    val up = if (x >= 0) math.ceil(x) else -math.ceil(-x)
    if (up.isInfinite || up.isNaN || up % 2 == 0) up else if (x >= 0) up + 1 else up - 1
  }

  def positive(x: Double): Double = if (x <= 0) fault(s"numbers above 0 in a logarithm, got $x") else x
  def finite(x: Double): Double = if (x.isInfinite) fault(s"finite numbers in a trigonometric function, got $x") else x
  def unit(x: Double): Double = if (x < -1 || x > 1) fault(s"numbers from -1 to 1, got $x") else x

  /** Exact for powers of two, as C's. */
  def log2(x: Double): Double = {
    val exponent = Math.getExponent(x)
    if (!x.isInfinite && x == Math.scalb(1.0, exponent)) exponent.toDouble else math.log(x) / math.log(2)
  }

  def log(base: Double, x: Double): Double = {
    val divisor = math.log10(positive(base))
    if (divisor == 0) fault(s"a base of a logarithm other than 1, got $base")
    math.log10(positive(x)) / divisor
  }

  def shiftLeft(value: Long, by: Long, bits: Int): Long = {
    if (value < 0) fault(s"whole numbers from 0 before <<, got $value")
    if (by < 0) fault(s"places from 0 after <<, got $by")
    if (by >= bits && value == 0) 0
    else if (by >= bits || value >= (1L << (bits - by.toInt - 1))) fault(s"numbers whose bits stay, got $value << $by")
    else value << by
  }

  def shiftRight(value: Long, by: Long, bits: Int): Long = if (by < 0 || by >= bits) 0 else value >> by

  def gcd(a: Long, b: Long): Long = {
    val found = BigInt(a).gcd(BigInt(b))
    if (found.isValidLong) found.toLong else fault(s"numbers whose divisor fits, got $a and $b")
  }

  def lcm(a: Long, b: Long): Long =
    if (a == 0 || b == 0) 0
    else {
      val found = (BigInt(a) / BigInt(a).gcd(BigInt(b)) * BigInt(b)).abs
      if (found.isValidLong) found.toLong else fault(s"numbers whose multiple fits 64 bits, got $a and $b")
    }
}
