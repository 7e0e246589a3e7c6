package reprise.shim.frame

import java.io.IOException
import java.nio.{ByteBuffer, ByteOrder}

import org.apache.parquet.bytes.{ByteBufferInputStream, BytesInput}
import org.apache.parquet.column.{ColumnDescriptor, Encoding, ValuesType}
import org.apache.parquet.column.page.{DataPage, DataPageV1, DataPageV2, PageReader}
import org.apache.parquet.io.ParquetDecodingException

/**
 * A number column of a file's row groups, in the order of its rows; NaN where a value is missing.
 * Plain pages and dictionaries are taken over whole; values of rarer encodings come from parquet-mr
 * one by one.
 */
final class NumberPages(column: ColumnDescriptor) {
  private val kind = NumberKind.of(column.getPrimitiveType)
  private val isOptional = column.getMaxDefinitionLevel > 0
  private var pages: PageReader = _
  /** Of the row group; the array is that of all of them. */
  private var dictionary = new Array[Double](0)
  private var entries = 0

  private var left = 0
  /** 1 for each row of the page that has a value; null where all have. */
  private var levels: NumberRuns = _
  private var values: NumberValues = _
  private var marks = new Array[Int](0)

  /** Goes on with the next row group. */
  def open(group: PageReader): Unit = {
    pages = group
    left = 0
    entries = 0
    Option(group.readDictionaryPage()).foreach { page =>
      val bytes = NumberPages.bytes(page.getBytes)
      entries = page.getDictionarySize
      if (entries < 0 || entries.toLong * kind.width > bytes.remaining) {
        throw NumberPages.damaged(column, s"a dictionary of $entries numbers in ${bytes.remaining} bytes")
      }
      if (dictionary.length < entries) dictionary = new Array[Double](entries)
      kind.copy(bytes, dictionary, 0, entries)
    }
  }

  def read(out: Array[Double], at: Int, count: Int): Unit = {
    var done = 0
    while (done < count) {
      while (left == 0) nextPage()
      val some = math.min(left, count - done)
      readFromPage(out, at + done, some)
      left -= some
      done += some
    }
  }

  private def readFromPage(out: Array[Double], at: Int, count: Int): Unit = {
    val present = if (levels == null) count else readLevels(count)
    values.read(out, at, present)
    // From the end, as values move up.
    var from = at + present
    var i = at + count
    while (i > from) {
      i -= 1
      if (marks(i - at) == 1) {
        from -= 1
        out(i) = out(from)
      } else out(i) = Double.NaN
    }
  }

  private def readLevels(count: Int): Int = {
    if (marks.length < count) marks = new Array[Int](count)
    levels.read(marks, count)
    var present = 0
    var i = 0
    while (i < count) {
      present += marks(i)
      i += 1
    }
    present
  }

  private def nextPage(): Unit =
    pages.readPage() match {
      case null => throw new IOException(s"expected a row more in column ${column.getPath.mkString(".")}, got the end of its pages")
      case page: DataPageV1 => open(page)
      case page: DataPageV2 => open(page)
    }

  private def open(page: DataPageV1): Unit = {
    val bytes = NumberPages.bytes(page.getBytes)
    if (isOptional) {
      if (page.getDlEncoding != Encoding.RLE) throw NumberPages.unknown(column, page.getDlEncoding)
      val size = bytes.getInt()
      if (size < 0 || size > bytes.remaining) throw NumberPages.damaged(column, s"levels of $size bytes")
      val own = bytes.duplicate()
      own.limit(own.position + size)
      levels = new NumberRuns(own, 1)
      bytes.position(bytes.position + size)
    }
    open(page, page.getValueEncoding, bytes)
  }

  private def open(page: DataPageV2): Unit = {
    if (isOptional) levels = new NumberRuns(NumberPages.bytes(page.getDefinitionLevels), 1)
    open(page, page.getDataEncoding, NumberPages.bytes(page.getData))
  }

  private def open(page: DataPage, encoding: Encoding, bytes: ByteBuffer): Unit = {
    left = page.getValueCount
    values =
      if (encoding.usesDictionary) {
        val width = if (bytes.hasRemaining) bytes.get() & 0xff else 0
        new DictionaryValues(dictionary, entries, new NumberRuns(bytes, width))
      } else if (encoding == Encoding.PLAIN) new PlainValues(kind, bytes)
      else {
        val reader = encoding.getValuesReader(column, ValuesType.VALUES)
        reader.initFromPage(left, ByteBufferInputStream.wrap(bytes))
        new NumberValues {
          def read(out: Array[Double], at: Int, count: Int): Unit = {
            var i = 0
            while (i < count) {
              out(at + i) = kind.next(reader)
              i += 1
            }
          }
        }
      }
  }
}

/** Values of a page that are there, one after the other. */
private trait NumberValues {
  def read(out: Array[Double], at: Int, count: Int): Unit
}

private final class PlainValues(kind: NumberKind, in: ByteBuffer) extends NumberValues {
  def read(out: Array[Double], at: Int, count: Int): Unit = kind.copy(in, out, at, count)
}

private final class DictionaryValues(dictionary: Array[Double], entries: Int, positions: NumberRuns) extends NumberValues {
  private var places = new Array[Int](0)

  def read(out: Array[Double], at: Int, count: Int): Unit = {
    if (places.length < count) places = new Array[Int](count)
    positions.read(places, count)
    var i = 0
    while (i < count) {
      val place = places(i)
      // The array may be longer than this row group's dictionary.
      if (place >= entries) throw new ParquetDecodingException(s"expected a position below $entries in a dictionary, got $place")
      out(at + i) = dictionary(place)
      i += 1
    }
  }
}

private object NumberPages {
  def bytes(input: BytesInput): ByteBuffer = input.toByteBuffer.order(ByteOrder.LITTLE_ENDIAN)

  def damaged(column: ColumnDescriptor, got: String): ParquetDecodingException =
    new ParquetDecodingException(s"expected whole pages of column ${column.getPath.mkString(".")}, got $got")

  def unknown(column: ColumnDescriptor, encoding: Encoding): ParquetDecodingException =
    new ParquetDecodingException(s"expected levels of column ${column.getPath.mkString(".")} in encoding RLE, got $encoding")
}
