package reprise.shim.frame

import scala.collection.JavaConverters._

import com.fasterxml.jackson.databind.JsonNode

import reprise.shim.protocol.Json
import reprise.shim.protocol.Json._

/** How the cells stand in a CSV file (the driver's `CsvOptions`); None: found, or the default. */
final case class CsvOptions(
    delimiter: Option[Char], quote: Option[Char], escape: Option[Char], header: Boolean, skip: Int,
    nulls: Set[String], decimal: Char, thousands: Option[Char], encoding: String, comment: Option[Char])

/** What a job says of how its files are read (`ReadOptions` of the driver). */
final case class ReadOptions(
    csv: CsvOptions, schema: Map[String, String], partitions: Boolean, dropMissing: Option[String], json: JsonNode) {

  /** Equal options have the same key. */
  def key: String = if (json.isNull) "" else json.toString
}

object ReadOptions {
  val none: ReadOptions = parse(Json.nul)

  def parse(node: JsonNode): ReadOptions = {
    val csv = Option(node.get("csv")).getOrElse(Json.obj())
    def char(name: String): Option[Char] = csv.textOption(name).filter(_.nonEmpty).map(_.head)
    val quote = csv.textOption("quote").getOrElse("\"").headOption
    val schema = Option(node.get("schema")).toSeq.flatMap(_.fields().asScala.map(field => field.getKey -> field.getValue.asText))
    ReadOptions(
      CsvOptions(
        char("delimiter"), quote, char("escape"), csv.flagOr("header", true), csv.integerOption("skip").getOrElse(0),
        Option(csv.get("null")).toSeq.flatMap(_.elements().asScala.map(_.asText)).toSet,
        char("decimal").getOrElse('.'), char("thousands"), csv.textOption("encoding").getOrElse("utf-8"), char("comment")),
      schema.toMap, node.flagOr("partitions", true), node.textOption("dropMissing"), node)
  }
}
