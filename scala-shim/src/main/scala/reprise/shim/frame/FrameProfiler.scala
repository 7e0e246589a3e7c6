package reprise.shim.frame

import com.fasterxml.jackson.databind.JsonNode
import org.apache.spark.sql.{AnalysisException, Column, DataFrame, Row}
import org.apache.spark.sql.functions._
import org.apache.spark.sql.types._

import reprise.shim.ShimContext
import reprise.shim.protocol.{Json, ShimError}
import reprise.shim.protocol.Json._

private final case class Asked(sql: String, top: Int, probabilities: Seq[Double], dataType: DataType)

private final case class Frequencies(top: Seq[(String, Long)], distinct: Long)

/** Profiles expressions over all rows; the answers equal DuckDB's (`ColumnProfile` in `driver/frame/engine.ts`). */
final class FrameProfiler(context: ShimContext) {
  def profile(source: FrameSource, requests: Seq[JsonNode]): Seq[JsonNode] = {
    val session = context.session
    val frames = source.files.map(file => context.reader.read(source.format, file))
    val expressions = requests.map(request => SqlDialect.parse(session, request.text("sql")))
    val all = frames.map { frame =>
      select(frame, expressions.map(new Column(_)), requests.map(_.text("sql")))
    }.reduce(_ union _)
    val asked = requests.indices.map { i =>
      Asked(
        requests(i).text("sql"), requests(i).integer("top"),
        requests(i).items("quantiles").map(_.asNumber("quantiles")), all.schema(i).dataType)
    }
    val sums = numbers(all, asked)
    asked.indices.map { i =>
      val counts = if (asked(i).top > 0) frequencies(all, i, asked(i)) else Frequencies(Nil, 0)
      val quantiles = if (asked(i).probabilities.nonEmpty) quantilesOf(all, i, asked(i)) else Nil
      toJson(asked(i), sums, i, counts, quantiles)
    }
  }

  private def select(frame: DataFrame, columns: Seq[Column], texts: Seq[String]): DataFrame =
    try frame.select(columns.zipWithIndex.map { case (column, i) => column.as(s"c$i") }: _*)
    catch {
      case error: AnalysisException =>
        val culprit = texts.find(text => scala.util.Try(frame.select(new Column(SqlDialect.parse(context.session, text)))).isFailure)
        throw ShimError.data(
          s"feature: expected an expression over the columns ${frame.columns.take(40).mkString(", ")}, " +
            s"got `${culprit.getOrElse("?")}`: ${SqlDialect.firstLine(error.getMessage)}",
          "sql" -> culprit.getOrElse(""))
    }

  private def isNumber(dataType: DataType): Boolean = dataType match {
    case _: NumericType | BooleanType => true
    case _ => false
  }

  private def isFloat(dataType: DataType): Boolean = dataType == FloatType || dataType == DoubleType

  private def asDouble(i: Int, dataType: DataType): Column =
    if (dataType == BooleanType) col(s"c$i").cast(IntegerType).cast(DoubleType) else col(s"c$i").cast(DoubleType)

  private def missing(i: Int, dataType: DataType): Column =
    if (isFloat(dataType)) col(s"c$i").isNull || isnan(col(s"c$i")) else col(s"c$i").isNull

  /** One scan: rows, missing, infinite, smallest and largest finite value of every expression. */
  private def numbers(all: DataFrame, asked: IndexedSeq[Asked]): Row = {
    val aggregates = asked.indices.flatMap { i =>
      val dataType = asked(i).dataType
      val value = if (isNumber(dataType)) asDouble(i, dataType) else lit(null).cast(DoubleType)
      val infinite = abs(value) === lit(Double.PositiveInfinity)
      val finite = when(!isnan(value) && !infinite, value)
      Seq(
        sum(when(missing(i, dataType), 1L).otherwise(0L)),
        if (isNumber(dataType)) sum(when(infinite, 1L).otherwise(0L)) else lit(0L),
        min(finite),
        max(finite))
    }
    all.agg(count(lit(1)), aggregates: _*).head()
  }

  /** Groups as numbers, so that -0 and 0, and 7 and 7.00, are one category. */
  private def isReal(dataType: DataType): Boolean = isFloat(dataType) || dataType.isInstanceOf[DecimalType]

  /** One grouping: how often each value occurs, as the text that names it. */
  private def frequencies(all: DataFrame, i: Int, asked: Asked): Frequencies = {
    val value = if (isReal(asked.dataType)) col(s"c$i").cast(DoubleType) + lit(0.0) else col(s"c$i")
    val kept = all.filter(!missing(i, asked.dataType)).groupBy(value.as(s"c$i")).count().cache()
    try {
      val text: Any => String = asked.dataType match {
        case real if isReal(real) => value => CategoryText.of(value.asInstanceOf[Number].doubleValue)
        case _ => value => String.valueOf(value)
      }
      val printed = kept.select(
        if (isReal(asked.dataType)) col(s"c$i").as("v") else col(s"c$i").cast(StringType).as("v"),
        col("count"))
      val rows = printed.orderBy(desc("count"), asc("v")).limit(math.max(asked.top, 1) + 1000).collect()
      val sorted = rows
        .map(row => text(row.get(0)) -> row.getLong(1))
        .sortWith { case ((a, m), (b, n)) => m > n || (m == n && Utf8Order.compare(a, b) < 0) }
      Frequencies(sorted.take(asked.top).toSeq, kept.count())
    } finally kept.unpersist()
  }

  /** Exact quantiles by linear interpolation, as DuckDB's `quantile_cont`. */
  private def quantilesOf(all: DataFrame, i: Int, asked: Asked): Seq[Double] =
    if (!isNumber(asked.dataType)) Nil
    else {
      val value = asDouble(i, asked.dataType)
      val row = all.select(value.as("v")).filter(!isnan(col("v")) && abs(col("v")) =!= lit(Double.PositiveInfinity))
        .agg(expr(s"percentile(v, array(${asked.probabilities.map(p => s"${BigDecimal(p).bigDecimal.toPlainString}D").mkString(",")}))"))
        .head()
      if (row.isNullAt(0)) Nil else row.getSeq[Double](0)
    }

  private def toJson(asked: Asked, sums: Row, i: Int, counts: Frequencies, quantiles: Seq[Double]): JsonNode = {
    val at = 1 + i * 4
    def long(k: Int): Long = if (sums.isNullAt(k)) 0L else sums.getLong(k)
    def double(k: Int): JsonNode = if (sums.isNullAt(k)) Json.nul else Json.num(sums.getDouble(k))
    Json.obj(
      "type" -> Json.str(FrameDescriber.columnType(asked.dataType)),
      "rows" -> Json.int(sums.getLong(0)),
      "missing" -> Json.int(long(at)),
      "infinite" -> Json.int(long(at + 1)),
      "min" -> double(at + 2),
      "max" -> double(at + 3),
      "top" -> Json.arr(counts.top.map { case (value, count) =>
        Json.obj("value" -> Json.str(value), "count" -> Json.int(count))
      }),
      "distinct" -> Json.int(counts.distinct),
      "quantiles" -> Json.arr(quantiles.map(Json.num)))
  }
}

/** Text by its UTF-8 bytes, which is the order of code points. */
object Utf8Order {
  def compare(a: String, b: String): Int =
    org.apache.spark.unsafe.types.UTF8String.fromString(a).compareTo(org.apache.spark.unsafe.types.UTF8String.fromString(b))
}
