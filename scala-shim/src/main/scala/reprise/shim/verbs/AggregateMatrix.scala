package reprise.shim.verbs

import com.fasterxml.jackson.databind.JsonNode
import scala.collection.JavaConverters._

import reprise.shim.ShimContext
import reprise.shim.frame.{SqlText, TableAggregates}
import reprise.shim.protocol.{Json, Payload, Reply}
import reprise.shim.protocol.Json._

/** Aggregates in SQL over the rows of a matrix, held or sent along, by group. */
object AggregateMatrix extends VerbHandler {
  val name = "aggregateMatrix"

  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val columns = (0 until args.integer("cols")).map(c => s"c$c")
    val views = args.items("views").map { view =>
      view.elements().asScala.map(column => column.text("name") -> column.text("sql")).toVector
    }.toIndexedSeq
    val texts = args.items("formulas").map(SqlText.parse).toIndexedSeq
    val (values, jobs) = context.runs.track(args.text("run")) {
      val table = MatrixFrame.of(context, args, payloads, columns)
      new TableAggregates(table, args.integer("groups")).values(texts, views)
    }
    val items = values.map(view => Json.arr(view.map(formula => Json.arr(formula.toSeq.map(Json.num)))))
    Reply(Json.obj("values" -> Json.arr(items), "sparkJobs" -> Json.int(jobs)))
  }
}
