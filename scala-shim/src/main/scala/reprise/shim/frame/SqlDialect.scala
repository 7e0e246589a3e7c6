package reprise.shim.frame

import org.apache.spark.sql.{AnalysisException, DataFrame, SparkSession}
import org.apache.spark.sql.catalyst.analysis.UnresolvedFunction
import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.catalyst.parser.ParseException
import org.apache.spark.sql.catalyst.plans.logical.{Aggregate, Generate, Window}
import org.apache.spark.sql.reprise.Columns
import org.apache.spark.sql.types._

import reprise.shim.protocol.ShimError

/**
 * Feature expressions are DuckDB's SQL. Spark's own parser reads them after the few tokens it does not know were
 * replaced (`SqlTokens`), and the known differences in meaning are rewritten in the tree: one row of `functions` each.
 */
object SqlDialect {

  /** The expression, unresolved. @throws ShimError data when it does not parse or is no scalar expression */
  def parse(session: SparkSession, sql: String): Expression = {
    val parsed =
      try session.sessionState.sqlParser.parseExpression(SqlTokens.toSpark(sql))
      catch {
        case error: ParseException =>
          throw ShimError.data(
            s"feature: expected a SQL expression, got `$sql`: ${firstLine(error.getMessage)}", "sql" -> sql)
      }
    parsed.foreach {
      case _: SubqueryExpression | _: WindowExpression =>
        throw ShimError.data(s"feature: expected an expression over one row, got `$sql`", "sql" -> sql)
      case _ =>
    }
    parsed.transformUp(rewrite)
  }

  /**
   * The columns of `expressions` selected from a frame.
   * @throws ShimError data naming the first expression that can't be resolved or does not work row by row
   */
  def select(frame: DataFrame, sqls: Seq[String], expressions: Seq[Expression]): DataFrame = {
    def selected(which: Seq[Expression]): DataFrame =
      frame.select(which.zipWithIndex.map { case (expression, i) =>
        Columns.of(ColumnNames.spelled(expression, frame.schema)).as(s"c$i")
      }: _*)
    def mistake(which: Seq[Expression]): Option[String] =
      try {
        val analyzed = selected(which).queryExecution.analyzed
        val ofRows = analyzed.find {
          case _: Aggregate | _: Window | _: Generate => true
          case node => node.expressions.exists(e => !e.deterministic || e.exists(isClock))
        }
        ofRows.map(_ => "one whose value does not depend on the row alone")
      } catch { case error: AnalysisException => Some(firstLine(error.getMessage)) }
    if (mistake(expressions).isDefined) {
      sqls.zip(expressions).foreach { case (sql, expression) =>
        mistake(Seq(expression)).foreach { got =>
          throw ShimError.data(
            s"feature: expected an expression over the columns ${frame.columns.take(40).mkString(", ")}, got `$sql`: $got",
            "sql" -> sql)
        }
      }
    }
    selected(expressions)
  }

  private def isClock(expression: Expression): Boolean = expression match {
    case _: CurrentDate | _: CurrentTimestampLike | _: LocalTimestamp => true
    case _ => false
  }

  private val rewrite: PartialFunction[Expression, Expression] = {
    // DuckDB divides as IEEE doubles do: 1/0 is infinite, and 5/2 is 2.5 whatever the types.
    case Divide(left, right, _) => IeeeDivide(double(left), double(right))
    // DuckDB's `^` is a power.
    case BitwiseXor(left, right) => Pow(double(left), double(right))
    case call: UnresolvedFunction if functions.contains(call.nameParts.last.toLowerCase) =>
      functions(call.nameParts.last.toLowerCase).applyOrElse(call.arguments, (_: Seq[Expression]) => call)
    case Alias(child, _) => child
  }

  private def double(e: Expression): Expression = Cast(e, DoubleType)
  private def call(name: String, arguments: Expression*): Expression =
    UnresolvedFunction(name, arguments, isDistinct = false)
  private def bigint(e: Expression): Expression = Cast(e, LongType)

  /** Functions that mean another thing, or have another name, in Spark. */
  private val functions: Map[String, PartialFunction[Seq[Expression], Expression]] = {
    val sundayIsZero: PartialFunction[Seq[Expression], Expression] = {
      case Seq(day) => Subtract(call("dayofweek", day), Literal(1))
    }
    val mondayIsOne: PartialFunction[Seq[Expression], Expression] = {
      case Seq(day) => Add(call("weekday", day), Literal(1))
    }
    Map(
      "dayofweek" -> sundayIsZero,
      "weekday" -> sundayIsZero,
      "dow" -> sundayIsZero,
      "isodow" -> mondayIsOne,
      // DuckDB's log is to base ten.
      "log" -> {
        case Seq(x) => call("log10", x)
        case Seq(base, x) => call("log", base, x)
      },
      "week" -> { case Seq(day) => call("weekofyear", day) },
      "epoch" -> { case Seq(time) => epoch(time) },
      "date_part" -> { case Seq(Literal(part, StringType), time) => datePart(part.toString, time) },
      "datepart" -> { case Seq(Literal(part, StringType), time) => datePart(part.toString, time) },
      "date_diff" -> { case Seq(Literal(part, StringType), from, to) => dateDiff(part.toString, from, to) },
      "datediff" -> { case Seq(Literal(part, StringType), from, to) => dateDiff(part.toString, from, to) },
      // Counts characters; Spark's `length` too, but `strlen` counts bytes in DuckDB.
      "strlen" -> { case Seq(text) => call("octet_length", text) },
      "mean" -> { case Seq(x) => x },
      // DuckDB skips NULL operands.
      "concat" -> { case parts => call("concat", parts.map(part => call("coalesce", Cast(part, StringType), Literal(""))): _*) },
      "prefix" -> { case Seq(text, start) => call("startswith", text, start) },
      "suffix" -> { case Seq(text, end) => call("endswith", text, end) },
      "starts_with" -> { case Seq(text, start) => call("startswith", text, start) },
      "ends_with" -> { case Seq(text, end) => call("endswith", text, end) },
      "string_split" -> { case Seq(text, separator) => call("split", text, call("concat", Literal("\\Q"), separator, Literal("\\E"))) },
      "pow" -> { case Seq(x, y) => Pow(double(x), double(y)) },
      "regexp_matches" -> { case Seq(text, pattern) => call("regexp_like", text, pattern) },
      "divide" -> { case Seq(x, y) => IntegralDivide(bigint(x), bigint(y)) },
      // In DuckDB, x mod y.
      "mod" -> { case Seq(x, y) => Remainder(x, y) },
      "isfinite" -> { case Seq(x) => Not(Or(IsNaN(double(x)), EqualTo(Abs(double(x)), Literal(Double.PositiveInfinity)))) },
      "isinf" -> { case Seq(x) => EqualTo(Abs(double(x)), Literal(Double.PositiveInfinity)) }
    )
  }

  private def epoch(time: Expression): Expression =
    IeeeDivide(double(call("unix_micros", Cast(time, TimestampType))), Literal(1e6))

  private def datePart(part: String, time: Expression): Expression = part.toLowerCase match {
    case "dow" | "dayofweek" | "weekday" => Subtract(call("dayofweek", time), Literal(1))
    case "isodow" => Add(call("weekday", time), Literal(1))
    case "epoch" => epoch(time)
    case "second" | "seconds" => call("second", time)
    case "doy" | "dayofyear" => call("dayofyear", time)
    case other => call("date_part", Literal(other), time)
  }

  private def dateDiff(part: String, from: Expression, to: Expression): Expression = part.toLowerCase match {
    case "day" => call("datediff", Cast(to, DateType), Cast(from, DateType))
    case "year" => Subtract(call("year", to), call("year", from))
    case "month" =>
      Subtract(
        Add(Multiply(call("year", to), Literal(12)), call("month", to)),
        Add(Multiply(call("year", from), Literal(12)), call("month", from)))
    case other => throw ShimError.unsupported(s"date_diff: expected year, month or day on Spark, got $other")
  }

  def firstLine(text: String): String = Option(text).getOrElse("").linesIterator.find(_.trim.nonEmpty).getOrElse("")
}
