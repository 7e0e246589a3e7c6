package reprise.shim.frame

import com.fasterxml.jackson.databind.JsonNode
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.{Column, DataFrame}
import org.apache.spark.sql.functions._
import org.apache.spark.sql.types._

import reprise.shim.ShimContext
import reprise.shim.program.TreeMerger
import reprise.shim.protocol.{Json, ShimError}
import reprise.shim.protocol.Json._

private final case class Asked(
    text: SqlText, top: Int, probabilities: Seq[Double], dataType: DataType, kind: TallyKind) {
  def isNumber: Boolean = dataType.isInstanceOf[NumericType] || dataType == BooleanType
}

/**
 * Profiles expressions over all rows in one Spark job; only quantiles, and vocabularies too large
 * to count in memory, take one more each. The answers equal DuckDB's (`ColumnProfile` in
 * `driver/ir/frame-engine.ts`).
 */
final class FrameProfiler(context: ShimContext) {

  def profile(source: FrameSource, requests: Seq[JsonNode]): Seq[JsonNode] = {
    val byFile = new FooterStatistics(context.reader).profiles(source, requests)
    val known = requests.indices.map { i =>
      byFile.map(_(i)).reduce((a, b) => for (left <- a; right <- b) yield left.merge(right)).map(ofStatistics)
    }
    completed(known, requests)(some => naming(some)(profileAtOnce(source, _)))
  }

  /** What is known, and what a scan says of the others. */
  private def completed(known: Seq[Option[JsonNode]], requests: Seq[JsonNode])(
      scan: Seq[JsonNode] => Seq[JsonNode]): Seq[JsonNode] = {
    val rest = requests.zip(known).collect { case (request, None) => request }
    val scanned = (if (rest.isEmpty) Nil else scan(rest)).iterator
    known.map(_.getOrElse(scanned.next()))
  }

  private def profileAtOnce(source: FrameSource, requests: Seq[JsonNode]): Seq[JsonNode] = {
    val (all, asked) = select(source, requests)
    val paths = source.files.map(_.path)
    val tallies = tally(all, paths, asked)
    if (tallies.headOption.exists(_.rows != source.rows)) {
      throw ShimError.data(
        s"frame: expected ${source.rows} rows as when it was opened, got ${tallies.head.rows}; the data changed, or a file is damaged")
    }
    lazy val together = all.reduce(_ union _)
    asked.indices.map { i =>
      val (top, distinct) =
        if (asked(i).top == 0) (Nil, 0L)
        else if (tallies(i).overflowed) grouped(together, i, asked(i))
        else (tallies(i).top(asked(i).top, textOf(asked(i))), tallies(i).counts.size.toLong)
      val quantiles = if (asked(i).probabilities.isEmpty) Nil else quantilesOf(together, i, asked(i))
      toJson(asked(i), tallies(i), top, distinct, quantiles)
    }
  }

  /**
   * As `profile`, for each file by itself, in the same one job. Vocabularies are complete or empty,
   * so that those of several files can be merged exactly.
   */
  def profileFiles(source: FrameSource, requests: Seq[JsonNode]): Seq[Seq[JsonNode]] = {
    val known = new FooterStatistics(context.reader).profiles(source, requests).map(_.map(_.map(ofStatistics)))
    val rest = requests.zip(known.head).collect { case (request, None) => request }
    val scanned = if (rest.isEmpty) known.map(_ => Nil) else naming(rest)(profileFilesAtOnce(source, _))
    known.zip(scanned).map { case (own, others) => completed(own, requests)(_ => others) }
  }

  private def profileFilesAtOnce(source: FrameSource, requests: Seq[JsonNode]): Seq[Seq[JsonNode]] = {
    val (all, asked) = select(source, requests)
    tallyFiles(all, source.files.map(_.path), asked).zip(source.files).map { case (tallies, file) =>
      if (tallies.headOption.exists(_.rows != file.rows)) {
        throw ShimError.data(
          s"frame: expected ${file.rows} rows in ${file.path} as when it was opened, got ${tallies.head.rows}; the data changed, or the file is damaged",
          "path" -> file.path)
      }
      asked.indices.map { i =>
        val tally = tallies(i)
        val kinds = if (tally.overflowed) ColumnTally.MaxKinds + 1L else tally.counts.size.toLong
        val isListed = asked(i).top > 0 && kinds <= asked(i).top
        val top = if (isListed) tally.top(asked(i).top, textOf(asked(i))) else Nil
        toJson(asked(i), tally, top, if (asked(i).top > 0) kinds else 0L, Nil)
      }
    }
  }

  /** Runs a scan; a value that an expression can't take stops it: halves are then scanned alone. */
  private def naming[A](requests: Seq[JsonNode])(scan: Seq[JsonNode] => A): A =
    try scan(requests)
    catch {
      case error: Exception if ShimError.find(error).isEmpty && SqlDialect.valueError(error).isDefined =>
        if (requests.length == 1) {
          throw SqlText.parse(requests.head).refused(SqlDialect.valueError(error).get, "values that it can take")
        }
        val (left, right) = requests.splitAt(requests.length / 2)
        naming(left)(scan)
        naming(right)(scan)
        throw error
    }

  /** The expressions as columns of each file, and what is asked of them. */
  private def select(source: FrameSource, requests: Seq[JsonNode]): (Seq[DataFrame], IndexedSeq[Asked]) = {
    WideFrames.tune(context.session, requests.length, source.rows)
    val frames = source.files.map(file => context.reader.read(source, file))
    val texts = requests.map(SqlText.parse)
    val expressions = texts.map(SqlDialect.parse)
    val all = frames.map(frame => SqlDialect.select(frame, texts, expressions))
    val asked = requests.indices.map { i =>
      val dataType = all.head.schema(i).dataType
      Asked(
        texts(i), requests(i).integer("top"),
        requests(i).items("quantiles").map(_.asNumber("quantiles")), dataType, kindOf(dataType))
    }
    (all, asked)
  }

  private def kindOf(dataType: DataType): TallyKind = dataType match {
    case ByteType | ShortType | IntegerType | LongType | BooleanType => TallyKind.Whole
    case FloatType | DoubleType => TallyKind.Real
    case decimal: DecimalType => TallyKind.Exact(decimal.precision, decimal.scale)
    case _ => TallyKind.Text
  }

  private def read(i: Int, asked: Asked): Column = asked.kind match {
    case TallyKind.Whole if asked.dataType == BooleanType => col(s"c$i").cast(IntegerType).cast(LongType)
    case TallyKind.Whole => col(s"c$i").cast(LongType)
    case TallyKind.Real => col(s"c$i").cast(DoubleType)
    case _: TallyKind.Exact => col(s"c$i")
    case TallyKind.Text => col(s"c$i").cast(StringType)
  }

  /** One job over all files: the counts of every expression. */
  private def tally(
      frames: Seq[DataFrame], paths: IndexedSeq[String], asked: IndexedSeq[Asked]): IndexedSeq[ColumnTally] = {
    val rdd = tallies(frames, paths, asked)
    val merger = new TreeMerger[Array[ColumnTally]](rdd.getNumPartitions, merge)
    context.spark.runJob(
      rdd,
      (part: Iterator[(Int, Array[ColumnTally])]) => part.next()._2,
      (partition: Int, tallies: Array[ColumnTally]) => merger.add(partition, tallies))
    merger.result.getOrElse(none(asked)).toIndexedSeq
  }

  /** The same job, its counts kept apart by file. */
  private def tallyFiles(
      frames: Seq[DataFrame], paths: IndexedSeq[String], asked: IndexedSeq[Asked]): IndexedSeq[IndexedSeq[ColumnTally]] = {
    val byFile = Array.fill(frames.length)(none(asked))
    context.spark.runJob(
      tallies(frames, paths, asked),
      (part: Iterator[(Int, Array[ColumnTally])]) => part.next(),
      (_: Int, found: (Int, Array[ColumnTally])) => byFile(found._1) = merge(byFile(found._1), found._2))
    byFile.map(_.toIndexedSeq).toIndexedSeq
  }

  private def none(asked: IndexedSeq[Asked]): Array[ColumnTally] =
    asked.map(one => new ColumnTally(one.kind, one.top > 0)).toArray

  private def merge(a: Array[ColumnTally], b: Array[ColumnTally]): Array[ColumnTally] =
    a.zip(b).map { case (left, right) => left.merge(right) }

  /** Each partition's counts, with the number of the file it is of. */
  private def tallies(
      frames: Seq[DataFrame], paths: IndexedSeq[String], asked: IndexedSeq[Asked]): RDD[(Int, Array[ColumnTally])] = {
    val columns = asked.indices.map(i => read(i, asked(i)).as(s"r$i"))
    val kinds = asked.map(one => (one.kind, one.top > 0)).toArray
    context.spark.union(frames.zipWithIndex.map { case (frame, file) =>
      val rdd = frame.select(columns: _*).queryExecution.toRdd
      val (path, isWhole) = (paths(file), rdd.getNumPartitions == 1)
      rdd.mapPartitions { rows =>
        val tallies = kinds.map { case (kind, counts) => new ColumnTally(kind, counts) }
        var count = 0L
        DataFaults.guard(path, if (isWhole) Some(count + 1) else None, leavesValues = true) {
          rows.foreach { row =>
            var i = 0
            while (i < tallies.length) {
              tallies(i).add(row, i)
              i += 1
            }
            count += 1
          }
        }
        Iterator.single(file -> tallies)
      }
    })
  }

  private def textOf(asked: Asked): Any => String = asked.kind match {
    case TallyKind.Real => value => CategoryText.of(value.asInstanceOf[Double])
    case _: TallyKind.Exact => value => CategoryText.of(value.asInstanceOf[java.math.BigDecimal])
    case TallyKind.Whole if asked.dataType == BooleanType => value => (value == 1L).toString
    case _ => value => value.toString
  }

  /** A vocabulary too large for memory, grouped by Spark SQL: its top values and their number. */
  private def grouped(all: DataFrame, i: Int, asked: Asked): (Seq[(String, Long)], Long) = {
    val value = if (asked.kind == TallyKind.Real) read(i, asked) + lit(0.0) else read(i, asked)
    val present = if (asked.kind == TallyKind.Real) !isnan(col("v")) && col("v").isNotNull else col("v").isNotNull
    val groups = all.select(value.as("v")).filter(present).groupBy(col("v")).count().cache()
    try {
      val order = if (asked.kind == TallyKind.Text) asc("v") else asc_nulls_last("v")
      val last = groups.orderBy(desc("count"), order).limit(asked.top).agg(min("count")).head().getLong(0)
      // All that tie with the last one: which of them is in is decided by their text.
      val text = textOf(asked)
      val top = groups.filter(col("count") >= last).collect()
        .map(row => text(row.get(0)) -> row.getLong(1))
        .sortWith { case ((a, m), (b, n)) => m > n || (m == n && Utf8Order.compare(a, b) < 0) }
        .take(asked.top)
      (top.toSeq, groups.count())
    } finally groups.unpersist()
  }

  /** Exact quantiles of the finite values by linear interpolation, as DuckDB's `quantile_cont`. */
  private def quantilesOf(all: DataFrame, i: Int, asked: Asked): Seq[Double] =
    if (!asked.isNumber) Nil
    else {
      val list = asked.probabilities.map(p => s"${BigDecimal(p).bigDecimal.toPlainString}D").mkString(",")
      val row = all.select(read(i, asked).cast(DoubleType).as("v"))
        .filter(!isnan(col("v")) && abs(col("v")) =!= lit(Double.PositiveInfinity))
        .agg(expr(s"percentile(v, array($list))"))
        .head()
      if (row.isNullAt(0)) Nil else row.getSeq[Double](0)
    }

  private def ofStatistics(tally: ColumnTally): JsonNode =
    toJson("number", isNumber = true, tally, Nil, 0L, Nil, fromStatistics = true)

  private def toJson(
      asked: Asked, tally: ColumnTally, top: Seq[(String, Long)], distinct: Long, quantiles: Seq[Double]): JsonNode =
    toJson(
      FrameDescriber.columnType(asked.dataType), asked.isNumber, tally, top, distinct, quantiles, fromStatistics = false)

  /** As `ColumnProfile` in `driver/ir/frame-engine.ts`. */
  private def toJson(
      columnType: String, isNumber: Boolean, tally: ColumnTally, top: Seq[(String, Long)], distinct: Long,
      quantiles: Seq[Double], fromStatistics: Boolean): JsonNode = {
    val hasRange = isNumber && tally.min <= tally.max
    Json.obj(
      "type" -> Json.str(columnType),
      "rows" -> Json.int(tally.rows),
      "missing" -> Json.int(tally.missing),
      "infinite" -> Json.int(tally.infinite),
      "min" -> (if (hasRange) Json.num(tally.min) else Json.nul),
      "max" -> (if (hasRange) Json.num(tally.max) else Json.nul),
      "top" -> Json.arr(top.map { case (value, count) =>
        Json.obj("value" -> Json.str(value), "count" -> Json.int(count))
      }),
      "distinct" -> Json.int(distinct),
      "quantiles" -> Json.arr(quantiles.map(Json.num)),
      "fromStatistics" -> Json.bool(fromStatistics))
  }
}
