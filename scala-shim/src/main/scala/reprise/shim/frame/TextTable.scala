package reprise.shim.frame

import org.apache.hadoop.conf.Configuration
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.{DataFrame, Row, SparkSession, SQLContext}
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow
import org.apache.spark.sql.sources.{BaseRelation, PrunedScan}
import org.apache.spark.sql.types._
import org.apache.spark.unsafe.types.UTF8String
import org.apache.spark.util.SerializableConfiguration

import reprise.shim.protocol.ShimError

/** What a text file holds: its rows, and by column cell kinds (`TextCells`) and missing rows. */
final case class TextSummary(names: IndexedSeq[String], kinds: IndexedSeq[Int], rows: Long, missing: Long)

/**
 * CSV and JSON lines as tables. Spark's own readers guess types and make what they can of a cell;
 * here every cell is looked at once (`summary`), the driver says what the columns are, and `frame`
 * reads them as that. One partition reads a file, so that the order of rows is the file's.
 */
object TextTable {
  def isText(format: String): Boolean = format == "csv" || format == "jsonl"

  /** @throws ShimError naming file and row of a value that is not of the type the job states */
  def summary(
      format: String, path: String, options: ReadOptions, configuration: Configuration): TextSummary = {
    val cells = cellsOf(options)
    val rows = open(format, path, options, None, configuration)
    try {
      var kinds = new Array[Int](0)
      // By place: what the job states of the column, and its name.
      var stated = new Array[Integer](0)
      var target = -1
      var missing = 0L
      var known = 0
      while (rows.next()) {
        val texts = rows.texts
        if (texts.length > kinds.length) {
          kinds = java.util.Arrays.copyOf(kinds, texts.length)
          stated = java.util.Arrays.copyOf(stated, texts.length)
        }
        if (rows.count > known) {
          val names = rows.names
          for (i <- known until names.length) {
            stated(i) = options.schema.get(names(i)).map(TextCells.Allowed).map(Integer.valueOf).orNull
          }
          target = options.dropMissing.map(names.indexOf).getOrElse(-1)
          known = names.length
        }
        if (target < 0 || isMissing(cells, texts(target))) missing += 1
        var i = 0
        while (i < known) {
          if (texts(i) != null) {
            val kind = kindOf(cells, format, texts(i), rows.forms(i), stated(i) != null)
            kinds(i) |= kind
            if (stated(i) != null && (kind & ~stated(i)) != 0) {
              throw misfit(rows.names(i), options.schema(rows.names(i)), path, texts(i), rows.row)
            }
          }
          i += 1
        }
      }
      val names = ordered(rows)
      val places = rows.names.zipWithIndex.toMap
      TextSummary(names, names.map(name => if (places(name) < kinds.length) kinds(places(name)) else 0), rows.row, missing)
    } finally rows.close()
  }

  /** Keys of the first line as they are written, the others by name. */
  private def ordered(rows: TextRows): IndexedSeq[String] = rows match {
    case json: JsonRows => json.names.take(json.firstKeys) ++ json.names.drop(json.firstKeys).sorted
    case other => other.names
  }

  private def kindOf(cells: TextCells, format: String, text: String, form: Int, isStated: Boolean): Int =
    if (form == CellForm.Nested) TextCells.Nested
    else if (format == "csv" || isStated) cells.kind(text)
    else if (form == CellForm.Number) cells.kindOfNumber(text)
    else if (form == CellForm.Bool) TextCells.Bool
    else cells.kindOfTime(text)

  private def isMissing(cells: TextCells, text: String): Boolean =
    text == null || ((text.contains('n') || text.contains('N')) && cells.kind(text) == TextCells.Decimal && cells.isNaN(text))

  private def misfit(name: String, dataType: String, path: String, text: String, row: Long): ShimError =
    ShimError.data(
      s"""data.schema: expected $dataType values in "$name" of $path, got "${text.take(60)}" in row $row; mend the file or give the column another type""",
      "path" -> path, "column" -> name)

  private[frame] def open(
      format: String, path: String, options: ReadOptions, wanted: Option[Set[String]], configuration: Configuration): TextRows =
    if (format == "csv") new CsvRows(path, options.csv, wanted, configuration) else new JsonRows(path, configuration)

  private[frame] def cellsOf(options: ReadOptions): TextCells =
    new TextCells(options.csv.decimal, options.csv.thousands.getOrElse('\u0000'))

  /** A file's rows; `columns` are those of the source it is of. */
  def frame(session: SparkSession, source: FrameSource, path: String): DataFrame = {
    val columns = source.text.getOrElse {
      throw ShimError.internal(s"frame: expected the columns of a ${source.format} file, got none; describe it again")
    }
    session.baseRelationToDataFrame(new TextRelation(session, source.format, path, source.options, columns))
  }
}

/** A text file that reads the columns that are asked for. */
private final class TextRelation(
    session: SparkSession, format: String, path: String, options: ReadOptions, columns: IndexedSeq[SourceColumn])
    extends BaseRelation with PrunedScan {
  def sqlContext: SQLContext = session.sqlContext
  val schema: StructType = StructType(columns.map { column =>
    StructField(column.name, TextCells.sparkType(column.dataType))
  })
  override def needConversion: Boolean = false

  def buildScan(required: Array[String]): RDD[Row] = {
    val configuration = new SerializableConfiguration(session.sessionState.newHadoopConf())
    val byName = columns.map(column => column.name -> column).toMap
    val wanted = required.map(byName)
    val (kind, file, how) = (format, path, options)
    val rows = session.sparkContext.parallelize(Seq(0), 1).mapPartitions { _ =>
      new TextIterator(TextTable.open(kind, file, how, Some(wanted.map(_.key).toSet), configuration.value), kind, how, wanted)
    }
    rows.asInstanceOf[RDD[Row]]
  }
}

private final class TextIterator(rows: TextRows, format: String, options: ReadOptions, columns: Array[SourceColumn])
    extends Iterator[InternalRow] {
  private val cells = TextTable.cellsOf(options)
  private val types = columns.map(column => TextCells.sparkType(column.dataType))
  private val places = Array.fill(columns.length)(-1)
  private var known = -1
  private var ahead = advance()
  Option(org.apache.spark.TaskContext.get()).foreach(_.addTaskCompletionListener[Unit](_ => rows.close()))

  def hasNext: Boolean = ahead

  def next(): InternalRow = {
    val row = new GenericInternalRow(columns.length)
    place()
    var c = 0
    while (c < columns.length) {
      val at = places(c)
      val text = if (at < 0) null else rows.texts(at)
      if (text != null) row.update(c, value(text, rows.forms(at), types(c)))
      c += 1
    }
    ahead = advance()
    row
  }

  private def advance(): Boolean = {
    val found = rows.next()
    if (!found) rows.close()
    found
  }

  /** Keys of JSON come as rows have them. */
  private def place(): Unit = {
    val count = rows.count
    if (count != known) {
      val names = rows.names.zipWithIndex.toMap
      columns.indices.foreach(c => places(c) = names.getOrElse(columns(c).key, -1))
      known = count
    }
  }

  private def value(text: String, form: Int, dataType: DataType): Any =
    try
      dataType match {
        case _: StructType => InternalRow(null)
        case StringType if form == CellForm.Number => UTF8String.fromString(numberText(text))
        case other => cells.value(text, other)
      }
    catch {
      // Its kind was looked at before, so the file is another one by now, or a row of it.
      case error: RuntimeException =>
        throw ShimError.data(
          s"data: expected ${rows.path} to stay as it was, got a value that is no ${dataType.simpleString} in row ${rows.row}", "path" -> rows.path)
    }

  /** A number of JSON among texts, as it would stand as a category. */
  private def numberText(text: String): String =
    if (text.forall(char => char == '-' || (char >= '0' && char <= '9'))) text
    else CategoryText.of(java.lang.Double.parseDouble(text))
}
