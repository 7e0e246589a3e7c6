package reprise.shim.frame

import com.fasterxml.jackson.databind.JsonNode
import org.apache.spark.SparkThrowable
import org.apache.spark.sql.{AnalysisException, DataFrame}
import org.apache.spark.sql.catalyst.FunctionIdentifier
import org.apache.spark.sql.catalyst.analysis.{FunctionRegistry, UnresolvedFunction}
import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.catalyst.parser.{CatalystSqlParser, ParseException}
import org.apache.spark.sql.catalyst.plans.logical.{Aggregate, Generate, Window}
import org.apache.spark.sql.reprise.Columns
import org.apache.spark.sql.types.{LongType, TimestampNTZType}

import reprise.shim.protocol.ShimError
import reprise.shim.protocol.Json._

/**
 * An expression of Spark SQL.
 * @param shown as the job has it, for messages
 * @param isOwn the job's own text, of a job that is tied to Spark; else the driver printed it from
 *   a tree it checked
 */
final case class SqlText(sql: String, shown: String, isOwn: Boolean) {
  def refused(got: String, expected: String = "an expression over one row"): ShimError =
    ShimError.data(s"expression `$shown`: expected $expected, got $got", "expression" -> shown)
}

object SqlText {
  def parse(node: JsonNode): SqlText =
    SqlText(node.text("sql"), node.text("shown"), node.textOption("dialect").contains("spark"))
}

/**
 * Feature expressions as Catalyst's. They are read by Catalyst's own parser, not the session's:
 * that one replaces `${..}` in any text by settings and variables of the environment, and
 * extensions may change what it reads.
 */
object SqlDialect {

  /** The unresolved expression. @throws ShimError data if it does not parse or is no scalar one */
  def parse(text: SqlText): Expression = {
    val parsed =
      try CatalystSqlParser.parseExpression(text.sql)
      catch {
        case error: ParseException => throw text.refused(firstLine(error.getMessage), "a SQL expression of Spark")
      }
    parsed.foreach {
      case _: SubqueryExpression | _: WindowExpression => throw text.refused("a sub-query or a window")
      case call: UnresolvedFunction if text.isOwn && !isBuiltIn(call) =>
        throw text.refused(s"${call.nameParts.mkString(".")}()", "functions of Spark's own")
      case _ =>
    }
    if (text.isOwn) parsed.transformUp { case Alias(child, _) => child } else parsed.transformUp(ours(text))
  }

  /**
   * The columns of `expressions` selected from a frame.
   * @throws ShimError data naming the first expression that can't be resolved or does not work row
   *   by row
   */
  def select(frame: DataFrame, texts: Seq[SqlText], expressions: Seq[Expression]): DataFrame = {
    def selected(which: Seq[Expression]): DataFrame =
      frame.select(which.zipWithIndex.map { case (expression, i) =>
        Columns.of(ColumnNames.spelled(expression, frame.schema)).as(s"c$i")
      }: _*)
    def mistake(which: Seq[Expression]): Option[String] =
      try {
        val analyzed = selected(which).queryExecution.analyzed
        val ofRows = analyzed.find {
          case _: Aggregate | _: Window | _: Generate => true
          case node => node.expressions.exists(e => !e.deterministic || e.exists(isOfSession))
        }
        ofRows.map(_ => "one whose value does not depend on the row alone")
      } catch { case error: AnalysisException => Some(firstLine(error.getMessage)) }
    if (mistake(expressions).isDefined) {
      texts.zip(expressions).foreach { case (text, expression) =>
        mistake(Seq(expression)).foreach { got =>
          throw text.refused(got, s"one over the columns ${frame.columns.take(40).mkString(", ")}")
        }
      }
    }
    selected(expressions)
  }

  private def isBuiltIn(call: UnresolvedFunction): Boolean =
    call.nameParts.length == 1 && FunctionRegistry.builtin.functionExists(FunctionIdentifier(call.nameParts.head))

  /** By name: in which package and version of Spark each of them is differs. */
  private val session = Set(
    "CurrentDate", "CurrentTimestamp", "CurrentBatchTimestamp", "Now", "LocalTimestamp", "CurrentTime",
    "CurrentTimeZone", "CurrentUser", "SessionUser", "CurrentDatabase", "CurrentCatalog", "SparkVersion",
    "VariableReference", "CallMethodViaReflection")

  def isOfSession(expression: Expression): Boolean = session.contains(expression.getClass.getSimpleName)

  private def ours(text: SqlText): PartialFunction[Expression, Expression] = {
    case call: UnresolvedFunction if call.nameParts.last == "duckdb_divide" =>
      IeeeDivide(call.arguments.head, call.arguments(1))
    // A cast from times without a zone to ones with would make a calendar date of each in between.
    case call: UnresolvedFunction if call.nameParts.last == "duckdb_micros" =>
      PreciseTimestampConversion(call.arguments.head, TimestampNTZType, LongType)
    case call: UnresolvedFunction if DuckFunctions.byName.contains(call.nameParts.last) =>
      DuckCall(call.nameParts.last, call.arguments, text.shown)
  }

  def firstLine(text: String): String = Option(text).getOrElse("").linesIterator.find(_.trim.nonEmpty).getOrElse("")

  /** What Spark throws for a value that an expression can't take, if it is that. */
  def valueError(error: Throwable): Option[String] =
    ShimError.chain(error).collectFirst {
      case fault: RuntimeException with SparkThrowable =>
        // What Spark advises next would change its settings for all.
        firstLine(fault.getMessage).replaceAll(" ?If necessary set .*", "")
    }
}
