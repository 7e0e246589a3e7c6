package reprise.shim.frame

import java.util.{HashMap => JavaMap}

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.unsafe.types.UTF8String

/** How a column is read for its profile. */
sealed trait TallyKind

object TallyKind {
  /** Selected as BIGINT. */
  case object Whole extends TallyKind
  /** Selected as DOUBLE. */
  case object Real extends TallyKind
  /** Selected as it is: different decimals can have one double. */
  final case class Exact(precision: Int, scale: Int) extends TallyKind
  /** Selected as STRING. */
  case object Text extends TallyKind
}

/**
 * Counts of one column over one partition: missing, infinite, range, and how often each value
 * occurs while there are at most `MaxKinds` of them. Merging two partitions' counts gives the
 * counts of both.
 */
final class ColumnTally(kind: TallyKind, countsValues: Boolean) extends Serializable {
  var rows = 0L
  var missing = 0L
  var infinite = 0L
  var min = Double.PositiveInfinity
  var max = Double.NegativeInfinity
  /** True when there were too many values to count here. */
  var overflowed = false
  val counts = new JavaMap[Any, Array[Long]]()

  def add(row: InternalRow, column: Int): Unit = {
    rows += 1
    if (row.isNullAt(column)) missing += 1
    else
      kind match {
        case TallyKind.Whole =>
          val value = row.getLong(column)
          range(value.toDouble)
          if (countsValues) count(value)
        case TallyKind.Real =>
          val value = row.getDouble(column)
          if (value.isNaN) missing += 1
          else {
            if (value.isInfinite) infinite += 1 else range(value)
            // Adding zero makes one category of -0 and 0.
            if (countsValues) count(value + 0.0)
          }
        case TallyKind.Exact(precision, scale) =>
          val value = row.getDecimal(column, precision, scale)
          range(value.toDouble)
          if (countsValues) count(value.toJavaBigDecimal)
        case TallyKind.Text =>
          if (countsValues && !overflowed) {
            val value = row.getUTF8String(column)
            val seen = counts.get(value)
            // The row's memory is used again, so a new key must own its bytes.
            if (seen != null) seen(0) += 1 else insert(value.copy())
          }
      }
  }

  def merge(other: ColumnTally): ColumnTally = {
    rows += other.rows
    missing += other.missing
    infinite += other.infinite
    min = math.min(min, other.min)
    max = math.max(max, other.max)
    overflowed ||= other.overflowed
    val entries = other.counts.entrySet().iterator()
    while (entries.hasNext && !overflowed) {
      val entry = entries.next()
      val seen = counts.get(entry.getKey)
      if (seen != null) seen(0) += entry.getValue()(0)
      else {
        insert(entry.getKey)
        if (!overflowed) counts.get(entry.getKey)(0) = entry.getValue()(0)
      }
    }
    this
  }

  /** The most frequent values as text: by count descending, then text ascending. */
  def top(limit: Int, text: Any => String): Seq[(String, Long)] = {
    val all = Array.newBuilder[(String, Long)]
    counts.forEach((key, count) => all += ((text(key), count(0))))
    all.result()
      .sortWith { case ((a, m), (b, n)) => m > n || (m == n && Utf8Order.compare(a, b) < 0) }
      .take(limit)
      .toSeq
  }

  private def range(value: Double): Unit = {
    if (value < min) min = value
    if (value > max) max = value
  }

  private def count(value: Any): Unit =
    if (!overflowed) {
      val seen = counts.get(value)
      if (seen != null) seen(0) += 1 else insert(value)
    }

  private def insert(key: Any): Unit =
    if (counts.size >= ColumnTally.MaxKinds) {
      overflowed = true
      counts.clear()
    } else counts.put(key, Array(1L))
}

object ColumnTally {
  /** Values counted in memory; a column with more is grouped by Spark SQL, which spills. */
  val MaxKinds = 200000
}

/** Text by its UTF-8 bytes, which is the order of code points. */
object Utf8Order {
  def compare(a: String, b: String): Int = UTF8String.fromString(a).compareTo(UTF8String.fromString(b))
}
