package reprise.shim.frame

import scala.collection.JavaConverters._

import com.fasterxml.jackson.databind.JsonNode

import reprise.shim.block.FeatureCode
import reprise.shim.program.Program
import reprise.shim.protocol.Json._
import reprise.shim.protocol.ShimError

final case class FrameFile(
    path: String, digest: String, bytes: Long, rows: Long, partition: IndexedSeq[PartitionValue] = Vector.empty) {

  /** What its rows are: equal content in folders of other names is other rows. */
  def key: String = s"$digest/$rows" + partition.map(one => s"/${one.name}=${one.dataType}:${one.value}").mkString
}

/** A column, its type (the driver's `TextType`), and its name as it stands in the files. */
final case class SourceColumn(name: String, dataType: String, key: String)

/**
 * Where a frame's rows are: files in the order of their rows; and what its columns are read as,
 * where the files don't say it.
 */
final case class FrameSource(
    format: String, files: IndexedSeq[FrameFile],
    options: ReadOptions = ReadOptions.none, text: Option[IndexedSeq[SourceColumn]] = None) {
  def rows: Long = files.map(_.rows).sum

  /** The same data cut and read the same way have the same key. */
  def key: String = s"$format:${options.key}:" + files.map(_.key).mkString(",")
}

object FrameSource {
  def parse(node: JsonNode): FrameSource =
    FrameSource(
      node.text("format"),
      node.items("files").map { file =>
        FrameFile(
          file.text("path"), file.text("digest"), file.long("bytes"), file.long("rows"), PartitionValue.parse(file.get("partition")))
      }.toIndexedSeq,
      ReadOptions.parse(node.field("options")),
      Option(node.get("text")).filterNot(_.isNull).map { columns =>
        columns.elements().asScala.map(column => 
          SourceColumn(column.text("name"), column.text("type"), column.text("key"))).toIndexedSeq
      })
}

/** A raw column to read: a number, the position of a value's text in `categories`, or text to hash. */
final case class RawColumn(
    text: SqlText, categories: Option[IndexedSeq[String]], hashing: Option[TextHashing] = None)

/** A feature of `encode`: the column it reads and what it makes of it. */
final case class Feature(column: RawColumn, code: FeatureCode)

object Feature {
  def parse(node: JsonNode): Feature = {
    val name = node.text("name")
    // Cells of float32 are rounded as they are made; bins compare what was read.
    val isSingle = Program.isSingle(node)
    def round(value: Double): Double = if (isSingle) value.toFloat.toDouble else value
    def categories: IndexedSeq[String] = node.items("categories").map(_.asText).toIndexedSeq
    val code = node.text("kind") match {
      case "number" => FeatureCode.Number(name, node.text("missing") == "error", isSingle)
      case "missing" => FeatureCode.Missing(name)
      case "onehot" =>
        val count = categories.length
        val other = if (node.flag("other")) count else -1
        val missing = if (node.flag("missing")) count + (if (other >= 0) 1 else 0) else -1
        FeatureCode.OneHot(name, count, other, missing, count + Seq(other, missing).count(_ >= 0))
      case "bin" =>
        FeatureCode.Bin(name, node.items("edges").map(_.asNumber("edges")).toArray, node.flag("missing"))
      case "map" =>
        FeatureCode.Mapped(
          name, node.items("values").map(value => round(value.asNumber("values"))).toArray,
          round(node.field("fallback").asNumber("fallback")))
      case "hash" => FeatureCode.Hashed(name, node.integer("columns"), isSingle)
      case other => throw ShimError.unsupported(s"encode: expected a known kind of feature, got `$other`")
    }
    val isCategory = code.isInstanceOf[FeatureCode.OneHot] || code.isInstanceOf[FeatureCode.Mapped]
    val hashing = code match {
      case _: FeatureCode.Hashed => Some(TextHashing.parse(node))
      case _ => None
    }
    Feature(RawColumn(SqlText.parse(node), if (isCategory) Some(categories) else None, hashing), code)
  }
}
