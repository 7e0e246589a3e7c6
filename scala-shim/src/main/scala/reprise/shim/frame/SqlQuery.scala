package reprise.shim.frame

import org.apache.spark.sql.{AnalysisException, DataFrame}
import org.apache.spark.sql.catalyst.FunctionIdentifier
import org.apache.spark.sql.catalyst.analysis._
import org.apache.spark.sql.catalyst.expressions.{Expression, PlanExpression}
import org.apache.spark.sql.catalyst.expressions.aggregate.AggregateFunction
import org.apache.spark.sql.catalyst.parser.{CatalystSqlParser, ParseException}
import org.apache.spark.sql.catalyst.plans.logical._
import org.apache.spark.sql.reprise.IsolatedSession

import reprise.shim.ShimContext
import reprise.shim.protocol.ShimError

/**
 * A query of Spark SQL over given frames alone, as `driver/frame/sql/query.ts` has it of DuckDB's.
 * Invariants: it is one SELECT; it names no table of the catalog, no file and no function of others'
 * making; no clock, no random number. Read by Catalyst's own parser, as expressions are.
 */
final class SqlQuery(context: ShimContext, sql: String, tables: Seq[(String, FrameSource)]) {
  private val names = tables.map(_._1.toLowerCase).toSet

  /** Its rows, not computed yet. @throws ShimError data with `got`, and `line` where it is known */
  def frame: DataFrame = {
    val parsed =
      try CatalystSqlParser.parsePlan(sql)
      catch {
        case error: ParseException =>
          throw refused("a SELECT of Spark's SQL", plain(error.getMessage), error.line.filter(_ => hasLines))
      }
    requireQuery(parsed)
    val own = IsolatedSession.of(context.session)
    // As other queries of Spark have it; the files' own names may differ in case where none is used.
    own.conf.set("spark.sql.caseSensitive", "false")
    tables.foreach { case (name, source) => IsolatedSession.register(own, name, read(source)) }
    val result =
      try IsolatedSession.rows(own, parsed)
      catch {
        case error: AnalysisException =>
          throw refused("SQL that fits its inputs", plain(error.getMessage), error.line.filter(_ => hasLines))
      }
    requireStable(result)
    requireNames(result.columns)
    result
  }

  private def hasLines: Boolean = sql.trim.contains("\n")

  private def read(source: FrameSource): DataFrame =
    source.files.map(context.reader.read(source, _)).reduce(_ union _)

  private def requireQuery(parsed: LogicalPlan): Unit = {
    val plans = everyPlan(parsed)
    val own = names ++ plans.flatMap {
      case named: SubqueryAlias => Seq(named.alias.toLowerCase)
      case _ => Nil
    }
    plans.foreach {
      case _: Command | _: ParsedStatement => other("another statement")
      case relation: UnresolvedRelation =>
        val given = relation.multipartIdentifier
        if (given.length != 1 || !own.contains(given.head.toLowerCase)) {
          other(s"the table ${given.mkString(".")}; add it to `inputs`")
        }
      case call: UnresolvedTableValuedFunction if !SqlQuery.TableFunctions.contains(call.name.last.toLowerCase) =>
        other(s"the table function ${call.name.mkString(".")}(); name files and tables in `inputs`")
      case _: Sample => other("a sample, which is another one each time; filter by hash(..) % 10 = 0")
      case node if SqlQuery.Refused.exists(node.getClass.getSimpleName.contains(_)) =>
        other(s"a ${node.nodeName}")
      case node =>
        node.expressions.foreach(_.foreach {
          case call: UnresolvedFunction
              if call.nameParts.length != 1 ||
                !FunctionRegistry.builtin.functionExists(FunctionIdentifier(call.nameParts.head)) =>
            other(s"${call.nameParts.mkString(".")}(), which is no function of Spark's own")
          case expression if expression.getClass.getSimpleName.contains("UnresolvedIdentifier") =>
            other("IDENTIFIER(..)")
          case _ =>
        })
    }
  }

  /** A plan and all in it, sub-queries and those of WITH too. */
  private def everyPlan(plan: LogicalPlan): Seq[LogicalPlan] = {
    val named = plan.innerChildren.collect { case inner: LogicalPlan => inner }
    val asked = plan.expressions.flatMap(_.collect { case query: PlanExpression[_] => query.plan }).collect {
      case inner: LogicalPlan => inner
    }
    plan +: (plan.children ++ named ++ asked).flatMap(everyPlan)
  }

  private def requireStable(result: DataFrame): Unit = {
    val found = result.queryExecution.analyzed.collectWithSubqueries { case plan => plan.expressions }.flatten
    found.flatMap(_.find(isUnstable)).headOption.foreach { expression =>
      other(
        s"${expression.prettyName}(), whose value does not depend on the inputs alone; " +
          "write a date, or {{ date }} for the run's, and hash(..) of a column for a random number")
    }
  }

  /** Aggregates that depend on the order of rows aside. */
  private def isUnstable(expression: Expression): Boolean =
    SqlDialect.isOfSession(expression) ||
      (!expression.deterministic && expression.children.forall(_.deterministic) &&
        !expression.isInstanceOf[AggregateFunction] && !expression.isInstanceOf[PlanExpression[_]])

  private def requireNames(columns: Seq[String]): Unit =
    columns.groupBy(_.toLowerCase).find(_._2.length > 1).foreach { case (_, same) =>
      throw refused(
        "columns of different names", s"${same.head} twice; name each with AS, or join with USING", None)
    }

  private def other(got: String): Nothing = {
    val list = if (tables.isEmpty) "no tables" else tables.map(_._1).mkString(", ")
    throw refused(s"one SELECT over $list", got, None)
  }

  private def refused(expected: String, got: String, line: Option[Int]): ShimError =
    ShimError.data(
      s"sql: expected $expected, got $got",
      Seq("expected" -> expected, "got" -> got) ++ line.map("line" -> _.toString): _*)

  /** The first line of Spark's, without its codes and the plan behind it. */
  private def plain(message: String): String =
    SqlDialect.firstLine(message)
      .replaceFirst("""^\[[A-Z0-9_.]+\] """, "")
      .replaceFirst("""\.?\s*SQLSTATE:.*$""", "")
      .replaceFirst("""; line \d+ pos \d+;?$""", "")
}

object SqlQuery {
  private val TableFunctions = Set(
    "range", "explode", "explode_outer", "posexplode", "posexplode_outer", "inline", "inline_outer", "stack", "json_tuple")

  /** By name, as in which versions of Spark each of them is differs: programs, other places, past versions. */
  private val Refused = Seq("ScriptTransformation", "UnresolvedIdentifier", "TimeTravel", "StreamingRelation")
}
