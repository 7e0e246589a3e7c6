package reprise.shim.protocol

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import com.fasterxml.jackson.databind.node.{ArrayNode, JsonNodeFactory, ObjectNode}

import scala.collection.JavaConverters._

/**
 * Reading and writing JSON with Spark's own Jackson. Numbers that JSON cannot say are `{"$num":
 * "NaN"}`; a field that is missing or of another type is the caller's mistake and is named in the
 * error.
 */
object Json {
  private val mapper = new ObjectMapper()
  private val factory = JsonNodeFactory.instance

  def parse(bytes: Array[Byte], offset: Int, length: Int): JsonNode =
    mapper.readTree(bytes, offset, length)

  def write(node: JsonNode): Array[Byte] = mapper.writeValueAsBytes(node)

  def obj(fields: (String, JsonNode)*): ObjectNode = {
    val node = factory.objectNode()
    fields.foreach { case (name, value) => node.set[JsonNode](name, value) }
    node
  }

  def arr(items: Iterable[JsonNode]): ArrayNode = {
    val node = factory.arrayNode()
    items.foreach(item => node.add(item))
    node
  }

  def str(value: String): JsonNode = if (value == null) factory.nullNode() else factory.textNode(value)
  def int(value: Long): JsonNode = factory.numberNode(value)
  def bool(value: Boolean): JsonNode = factory.booleanNode(value)
  def nul: JsonNode = factory.nullNode()

  def num(value: Double): JsonNode =
    if (value.isNaN || value.isInfinite) obj("$num" -> str(value.toString)) else factory.numberNode(value)

  implicit final class Reader(private val node: JsonNode) extends AnyVal {
    def field(name: String): JsonNode = {
      val found = node.get(name)
      if (found == null) throw expected(name, "a field")
      found
    }

    def text(name: String): String = {
      val found = field(name)
      if (!found.isTextual) throw expected(name, "text")
      found.textValue
    }

    def textOption(name: String): Option[String] =
      Option(node.get(name)).filter(_.isTextual).map(_.textValue)

    def long(name: String): Long = {
      val found = field(name)
      if (!found.isNumber) throw expected(name, "a number")
      found.doubleValue.toLong
    }

    def integer(name: String): Int = long(name).toInt

    def integerOption(name: String): Option[Int] =
      Option(node.get(name)).filter(_.isNumber).map(_.doubleValue.toInt)

    def flag(name: String): Boolean = {
      val found = field(name)
      if (!found.isBoolean) throw expected(name, "true or false")
      found.booleanValue
    }

    def flagOr(name: String, fallback: Boolean): Boolean =
      Option(node.get(name)).filter(_.isBoolean).map(_.booleanValue).getOrElse(fallback)

    def double(name: String): Double = field(name).asNumber(name)

    def doubleOr(name: String, fallback: Double): Double =
      Option(node.get(name)).filterNot(_.isNull).map(_.asNumber(name)).getOrElse(fallback)

    def items(name: String): Seq[JsonNode] = {
      val found = field(name)
      if (!found.isArray) throw expected(name, "a list")
      found.elements().asScala.toVector
    }

    def asNumber(name: String): Double =
      if (node.isNumber) node.doubleValue
      else
        Option(node.get("$num")).map(_.asText) match {
          case Some("NaN") => Double.NaN
          case Some("Infinity") => Double.PositiveInfinity
          case Some("-Infinity") => Double.NegativeInfinity
          case _ => throw expected(name, "a number")
        }

    private def expected(name: String, what: String): ShimError =
      ShimError.internal(s"message: expected $what at `$name`, got ${abbreviate(node.toString)}")
  }

  private def abbreviate(text: String): String =
    if (text.length <= 200) text else text.take(200) + ".."
}
