package reprise.shim.frame

import scala.collection.JavaConverters._

import com.fasterxml.jackson.databind.JsonNode
import org.apache.spark.sql.{Column, DataFrame}
import org.apache.spark.sql.functions.{col, lit}

import reprise.shim.protocol.Json
import reprise.shim.protocol.Json._

/** A column in the name of a file's folder, with the driver's value and type over all files. */
final case class PartitionValue(name: String, dataType: String, value: Option[String]) {
  def column: Column = {
    val cell = dataType match {
      case "integer" => lit(value.map(_.toLong).orNull).cast("bigint")
      case "date" => lit(value.orNull).cast("date")
      case _ => lit(value.orNull).cast("string")
    }
    cell.as(name)
  }

  def json: JsonNode = Json.obj(
    "name" -> Json.str(name), "type" -> Json.str(dataType), "value" -> value.map(Json.str).getOrElse(Json.nul))
}

object PartitionValue {
  def parse(node: JsonNode): IndexedSeq[PartitionValue] =
    Option(node).filterNot(_.isNull).toIndexedSeq.flatMap(_.elements().asScala).map { one =>
      PartitionValue(one.text("name"), one.text("type"), one.textOption("value"))
    }

  /** The frame of a file with the columns of its folders behind its own. */
  def add(frame: DataFrame, values: Seq[PartitionValue]): DataFrame =
    if (values.isEmpty) frame else frame.select(col("*") +: values.map(_.column): _*)
}
