package reprise.shim.frame

import org.apache.spark.sql.catalyst.expressions.{Cast, Expression}
import org.apache.spark.sql.types._

/**
 * Values as the text that names their category, the same as DuckDB's side gives (`textOf` in
 * `types.ts`): whole numbers and decimals with all their digits and no zeros behind the last one.
 * Different values have different texts.
 */
object CategoryText {
  def of(value: Double): String =
    if (value == math.rint(value) && math.abs(value) < 1e16) (value + 0.0).toLong.toString
    else if (value.isInfinite) (if (value > 0) "inf" else "-inf")
    else shortest(value)

  def of(value: java.math.BigDecimal): String = value.stripTrailingZeros.toPlainString

  def cast(expression: Expression, dataType: DataType): Expression = dataType match {
    case StringType => expression
    case _ => Cast(expression, StringType)
  }

  /** Shortest digits that read back the same; exponents of 2 or more digits from 1e16 or < 1e-4. */
  private def shortest(value: Double): String = {
    val exact = (1 to 17).iterator
      .map(digits => new java.math.BigDecimal(value).round(new java.math.MathContext(digits, java.math.RoundingMode.HALF_EVEN)))
      .find(_.doubleValue == value)
      .getOrElse(new java.math.BigDecimal(value))
      .stripTrailingZeros
    val magnitude = exact.precision - exact.scale - 1
    if (magnitude >= -4 && magnitude < 16) exact.toPlainString
    else {
      val digits = exact.unscaledValue.abs.toString
      val mantissa = if (digits.length == 1) digits else s"${digits.head}.${digits.tail}"
      val sign = if (exact.signum < 0) "-" else ""
      f"$sign$mantissa${if (magnitude < 0) "e-" else "e+"}${math.abs(magnitude)}%02d"
    }
  }
}
