package reprise.shim.verbs

import com.fasterxml.jackson.databind.JsonNode
import org.apache.spark.sql.DataFrame

import reprise.shim.ShimContext
import reprise.shim.frame.{FrameDescriber, FrameSource, OutputPlace, SqlQuery}
import reprise.shim.protocol.{Json, Payload, Reply}
import reprise.shim.protocol.Json._

/** A query over frames: its first rows as texts, or all of them written as a folder or a table. */
object QuerySql extends VerbHandler {
  val name = "querySql"

  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val tables = args.items("tables").map(one => one.text("name") -> FrameSource.parse(one.field("source")))
    val frame = new SqlQuery(context, args.text("sql"), tables).frame
    val place = Option(args.get("output")).filterNot(_.isNull)
    val (answer, jobs) = context.runs.track(args.text("run")) {
      place match {
        case None => (Json.nul, texts(frame, args.integer("limit")))
        case Some(output) => (Json.int(written(context, frame, output)), Json.arr(Nil))
      }
    }
    val (count, rows) = answer
    Reply(
      Json.obj(
        "columns" -> Json.arr(frame.schema.fields.map { field =>
          Json.obj(
            "name" -> Json.str(field.name),
            "type" -> Json.str(FrameDescriber.columnType(field.dataType)),
            "engineType" -> Json.str(field.dataType.simpleString))
        }),
        "rows" -> rows,
        "count" -> count,
        "sparkJobs" -> Json.int(jobs)))
  }

  private def texts(frame: DataFrame, limit: Int): JsonNode =
    Json.arr(frame.limit(limit).collect().map { row =>
      Json.arr(row.toSeq.map(cell => if (cell == null) Json.nul else Json.str(cell.toString)))
    })

  private def written(context: ShimContext, frame: DataFrame, output: JsonNode): Long = {
    val rows = if (output.flag("isSingle")) frame.coalesce(1) else frame
    output.textOption("table") match {
      case Some(table) => OutputPlace.replaceTable(context, rows, table)
      case None => OutputPlace.replaceFolder(context, rows, output.text("path"))
    }
  }
}
