package reprise.shim.frame

import java.io.BufferedReader
import java.util.Locale

import scala.collection.mutable

import com.fasterxml.jackson.core.{JsonFactory, JsonParseException, JsonParser, JsonToken}
import org.apache.hadoop.conf.Configuration

import reprise.shim.protocol.ShimError

/** What a cell of JSON is; every cell of CSV is a text. */
object CellForm {
  val Text = 0
  val Number = 1
  val Bool = 2
  val Nested = 3
}

/**
 * The rows of a text file, one by one, as the texts of their cells. Invariant: `texts(i)` is null
 * for a missing value; a file that is not what it should be ends the read with an error that names
 * it and the row.
 */
abstract class TextRows(val path: String) extends AutoCloseable {
  /** Names of CSV or keys of JSON; keys that come later are added. */
  def names: IndexedSeq[String]
  /** How many there are by now. */
  def count: Int
  var texts: Array[String] = Array.empty
  var forms: Array[Int] = Array.empty
  /** Row of `texts`, counted from 1. */
  var row = 0L
  /** False at the end. */
  def next(): Boolean
}

/** @param wanted names whose cells are asked for; None: all */
final class CsvRows(path: String, options: CsvOptions, wanted: Option[Set[String]], configuration: Configuration)
    extends TextRows(path) {
  private val dialect = TextFiles.dialect(path, options, configuration)
  private val reader = TextFiles.open(path, options.encoding, options.skip, configuration)
  private val cells = new CsvCells(reader, dialect)
  private var pending = true
  val names: IndexedSeq[String] = guarded {
    val first = new Array[String](CsvRows.MaxColumns)
    val count = cells.next(first, _ => true)
    if (count <= 0) {
      throw ShimError.data(
        s"data: expected a header line with column names in $path, got none: it is empty or begins with a blank line", "path" -> path)
    }
    if (first.iterator.take(count).exists(_.contains('\u0000'))) {
      throw ShimError.data(
        s"data: expected text in $path, got binary data; say data.csv.encoding: utf-16 if it is that, or data.format if it is another format",
        "path" -> path)
    }
    if (options.header) CsvRows.headerNames(first.take(count))
    else {
      texts = first.take(count)
      (0 until count).map(i => s"column$i")
    }
  }
  def count: Int = names.length
  private val isWanted = names.map(name => wanted.forall(_.contains(name))).toArray
  pending = !options.header
  if (texts.length != names.length) texts = new Array[String](names.length)
  forms = new Array[Int](names.length)

  def next(): Boolean = guarded {
    if (pending) pending = false
    else {
      val count = cells.next(texts, i => i >= isWanted.length || isWanted(i))
      if (count < 0) return false
      fit(count)
    }
    row += 1
    var i = 0
    while (i < texts.length) {
      val text = texts(i)
      if (text != null && (text.isEmpty || options.nulls.contains(text))) texts(i) = null
      i += 1
    }
    true
  }

  /** Empty cells beyond the header's are delimiters at the end of the line. */
  private def fit(count: Int): Unit =
    if (count < names.length || !cells.restIsEmpty) {
      throw ShimError.data(
        s"data: expected ${names.length} cells in each line of $path, got $count in row ${row + 1}", "path" -> path)
    }

  private def guarded[A](body: => A): A =
    try body
    catch {
      case fault: CsvFault =>
        val remedy =
          if (dialect.escape != dialect.quote) ""
          else "; say data.csv.escape: \"\\\\\" if quotes in cells are written \\\""
        throw ShimError.data(
          s"data: expected cells quoted as RFC 4180 has it in $path, got ${fault.getMessage} in record ${fault.record}$remedy", "path" -> path)
      case error: java.io.IOException => throw TextFiles.failure(path, options.encoding, error)
    }

  def close(): Unit = reader.close()
}

object CsvRows {
  private val MaxColumns = 1 << 17

  /** As `headerNames` of `driver/frame/text-columns.ts`. */
  def headerNames(cells: Seq[String]): IndexedSeq[String] =
    distinctNames(cells.map(_.dropWhile(isSpace).reverse.dropWhile(isSpace).reverse))

  def distinctNames(given: Seq[String]): IndexedSeq[String] = {
    val all = given.map(_.toLowerCase(Locale.ROOT)).toSet
    val taken = mutable.Set.empty[String]
    given.zipWithIndex.map { case (own, i) =>
      val base = if (own.isEmpty) s"column$i" else own
      def isFree(name: String): Boolean = {
        val lower = name.toLowerCase(Locale.ROOT)
        !taken(lower) && (name == own || !all(lower))
      }
      val name = (Iterator.single(base) ++ Iterator.from(1).map(k => s"${base}_$k")).find(isFree).get
      taken += name.toLowerCase(Locale.ROOT)
      name
    }.toIndexedSeq
  }

  private def isSpace(char: Char): Boolean = char == ' ' || (char >= '\t' && char <= '\r')
}

/** One object a line; a key that is absent is a missing value. Blank lines are no rows. */
final class JsonRows(path: String, configuration: Configuration) extends TextRows(path) {
  private val reader: BufferedReader = TextFiles.open(path, "utf-8", 0, configuration)
  private val places = mutable.LinkedHashMap.empty[String, Int]
  private var line = 0L
  /** Keys of the first row, which are named first. */
  var firstKeys = 0

  def names: IndexedSeq[String] = places.keys.toIndexedSeq
  def count: Int = places.size

  def next(): Boolean =
    try {
      var text = reader.readLine()
      line += 1
      while (text != null && text.trim.isEmpty) {
        text = reader.readLine()
        line += 1
      }
      if (text == null) false
      else {
        java.util.Arrays.fill(texts.asInstanceOf[Array[AnyRef]], null)
        parse(text)
        if (row == 0) firstKeys = places.size
        row += 1
        true
      }
    } catch {
      case error: JsonParseException => throw bad(JsonRows.brief(error))
      case _: java.nio.charset.CharacterCodingException => throw bad("bytes that are not UTF-8")
      case error: java.io.IOException => throw TextFiles.failure(path, "utf-8", error)
    }

  private def parse(text: String): Unit = {
    val parser = JsonRows.factory.createParser(text)
    parser.nextToken() match {
      case JsonToken.START_OBJECT => fields(parser)
      case JsonToken.VALUE_NULL =>
      case _ => throw bad(s"a line that begins with ${text.take(20)}")
    }
    if (parser.nextToken() != null) throw bad("more after the object")
    parser.close()
  }

  private def fields(parser: JsonParser): Unit = {
    var token = parser.nextToken()
    while (token == JsonToken.FIELD_NAME) {
      val at = placeOf(parser.getCurrentName)
      take(parser, parser.nextToken(), at)
      token = parser.nextToken()
    }
  }

  private def take(parser: JsonParser, token: JsonToken, at: Int): Unit = token match {
    case JsonToken.VALUE_STRING => set(at, parser.getText, CellForm.Text)
    case JsonToken.VALUE_NUMBER_INT => set(at, parser.getText, CellForm.Number)
    case JsonToken.VALUE_NUMBER_FLOAT => set(at, parser.getText, CellForm.Number)
    case JsonToken.VALUE_TRUE => set(at, "true", CellForm.Bool)
    case JsonToken.VALUE_FALSE => set(at, "false", CellForm.Bool)
    case JsonToken.VALUE_NULL =>
    case JsonToken.START_OBJECT | JsonToken.START_ARRAY =>
      parser.skipChildren()
      set(at, "", CellForm.Nested)
    case _ => throw bad("a value that does not end")
  }

  private def set(at: Int, text: String, form: Int): Unit = {
    texts(at) = text
    forms(at) = form
  }

  private def placeOf(key: String): Int = places.getOrElseUpdate(key, {
    if (places.size >= texts.length) {
      texts = java.util.Arrays.copyOf(texts, texts.length * 2 + 8)
      forms = java.util.Arrays.copyOf(forms, forms.length * 2 + 8)
    }
    places.size
  })

  private def bad(got: String): ShimError =
    ShimError.data(s"data: expected one JSON object a line in $path, got $got in line $line", "path" -> path)

  def close(): Unit = reader.close()
}

object JsonRows {
  private val factory = new JsonFactory()
    .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
    .enable(JsonParser.Feature.ALLOW_NON_NUMERIC_NUMBERS)
    .enable(JsonParser.Feature.ALLOW_TRAILING_COMMA)

  private def brief(error: JsonParseException): String = error.getOriginalMessage.takeWhile(char => char != '(' && char != '\n').trim
}
