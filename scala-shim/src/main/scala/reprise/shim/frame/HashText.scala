package reprise.shim.frame

import com.fasterxml.jackson.databind.JsonNode

import reprise.shim.block.{HashedVector, RawVector}
import reprise.shim.protocol.Json._

/** How text is hashed; names as `TextHashing` of the driver. */
final case class TextHashing(
    columns: Int, least: Int, most: Int, lowercase: Boolean, norm: String, alternateSign: Boolean)

object TextHashing {
  def parse(node: JsonNode): TextHashing = {
    val ngrams = node.items("ngrams").map(_.intValue).toArray
    TextHashing(
      node.integer("columns"), ngrams(0), ngrams(1), node.flag("lowercase"), node.text("norm"),
      node.flag("alternate_sign"))
  }
}

/**
 * Text as counts of hashed words: `driver/operators/hash-text.ts`, which defines words, lower case
 * and the hash, with the same bits. Rows of one task are added one after the other.
 */
final class HashedRows(of: TextHashing, rows: Int) {
  import HashText._

  private val counts = new Array[Double](of.columns)
  private val isTouched = new Array[Boolean](of.columns)
  private var touched = new Array[Int](64)
  private var touchedCount = 0
  private val starts = new Array[Int](rows + 1)
  private var columns = new Array[Int](math.max(64, rows * 8))
  private var values = new Array[Double](columns.length)
  private var count = 0
  private var row = 0
  /** Words of the text, each followed by a space, and where each begins and the last ends. */
  private var bytes = new Array[Byte](1024)
  private var length = 0
  private var words = new Array[Int](64)
  private var wordCount = 0

  /** @param text UTF-8; null where it is missing */
  def add(text: Array[Byte]): Unit = {
    if (text != null && text.length > 0) {
      split(text)
      countRuns()
      java.util.Arrays.sort(touched, 0, touchedCount)
      val size = sizeOf
      var t = 0
      while (t < touchedCount) {
        val column = touched(t)
        val cell = counts(column)
        if (cell != 0) put(column, if (size == 0) cell else cell / size)
        counts(column) = 0
        isTouched(column) = false
        t += 1
      }
      touchedCount = 0
    }
    row += 1
    starts(row) = count
  }

  def result: RawVector = new HashedVector(
    java.util.Arrays.copyOf(starts, row + 1), java.util.Arrays.copyOf(columns, count),
    java.util.Arrays.copyOf(values, count))

  private def put(column: Int, value: Double): Unit = {
    if (count == columns.length) {
      columns = java.util.Arrays.copyOf(columns, count * 2)
      values = java.util.Arrays.copyOf(values, count * 2)
    }
    columns(count) = column
    values(count) = value
    count += 1
  }

  private def split(text: Array[Byte]): Unit = {
    length = 0
    wordCount = 0
    var start = -1
    var points = 0
    var last = 0
    def endWord(): Unit = {
      if (start >= 0 && points >= 2) {
        // The small sigma at the end of a word is another letter.
        if (last == Sigma && of.lowercase) bytes(length - 1) = 0x82.toByte
        addWord(start)
        putByte(0x20)
      } else if (start >= 0) length = start
      start = -1
      points = 0
    }
    var at = 0
    while (at < text.length) {
      val width = widthOf(text(at))
      val point = if (at + width <= text.length) pointAt(text, at, width) else -1
      at += width
      if (!isWordPoint(point)) endWord()
      else {
        if (start < 0) start = length
        points += 1
        last = point
        putPoint(if (of.lowercase) lowered(point) else point)
      }
    }
    endWord()
    addWord(length)
  }

  private def addWord(start: Int): Unit = {
    if (wordCount == words.length) words = java.util.Arrays.copyOf(words, wordCount * 2)
    words(wordCount) = start
    wordCount += 1
  }

  private def putPoint(point: Int): Unit =
    if (point < 0x80) putByte(point)
    else if (point < 0x800) {
      putByte(0xc0 | (point >> 6))
      putByte(0x80 | (point & 0x3f))
    } else if (point < 0x10000) {
      putByte(0xe0 | (point >> 12))
      putByte(0x80 | ((point >> 6) & 0x3f))
      putByte(0x80 | (point & 0x3f))
    } else {
      putByte(0xf0 | (point >> 18))
      putByte(0x80 | ((point >> 12) & 0x3f))
      putByte(0x80 | ((point >> 6) & 0x3f))
      putByte(0x80 | (point & 0x3f))
    }

  private def putByte(byte: Int): Unit = {
    if (length == bytes.length) bytes = java.util.Arrays.copyOf(bytes, length * 2)
    bytes(length) = byte.toByte
    length += 1
  }

  private def countRuns(): Unit = {
    val last = wordCount - 1
    var n = of.least
    while (n <= of.most) {
      var i = 0
      while (i + n <= last) {
        // Without the space behind the last word.
        val hash = murmur3(bytes, words(i), words(i + n) - 1)
        val column = (math.abs(hash.toLong) % of.columns).toInt
        if (!isTouched(column)) {
          isTouched(column) = true
          if (touchedCount == touched.length) touched = java.util.Arrays.copyOf(touched, touchedCount * 2)
          touched(touchedCount) = column
          touchedCount += 1
        }
        counts(column) += (if (of.alternateSign && hash < 0) -1 else 1)
        i += 1
      }
      n += 1
    }
  }

  /** Counts are whole, so that the order of the sum does not matter. */
  private def sizeOf: Double = of.norm match {
    case "none" => 0
    case norm =>
      var sum = 0.0
      var t = 0
      while (t < touchedCount) {
        val cell = counts(touched(t))
        sum += (if (norm == "l2") cell * cell else math.abs(cell))
        t += 1
      }
      if (norm == "l2") math.sqrt(sum) else sum
  }
}

object HashText {
  val Sigma = 0x3a3

  private val WordRanges: Array[Int] = Array(
    0xaa, 0xaa, 0xb2, 0xb3, 0xb5, 0xb5, 0xb9, 0xba, 0xbc, 0xbe, 0xc0, 0xd6, 0xd8, 0xf6, 0xf8, 0x2c1, 0x370, 0x1fff,
    0x2c00, 0x2dff, 0x3005, 0x3007, 0x3041, 0xd7ff, 0xf900, 0xfdff, 0xfe70, 0xfefe, 0xff10, 0xff19, 0xff21, 0xff3a,
    0xff41, 0xff5a, 0xff66, 0xffdc, 0x10000, 0x1efff, 0x20000, 0x3ffff)

  def isWordPoint(point: Int): Boolean =
    if (point < 0x80) {
      val letter = point | 0x20
      (point >= 0x30 && point <= 0x39) || (letter >= 0x61 && letter <= 0x7a) || point == 0x5f
    } else {
      var r = 0
      while (r < WordRanges.length && point > WordRanges(r + 1)) r += 2
      r < WordRanges.length && point >= WordRanges(r)
    }

  def lowered(point: Int): Int =
    if (point < 0x80) { if (point >= 0x41 && point <= 0x5a) point + 32 else point }
    else if (point < 0x100) { if (point >= 0xc0 && point <= 0xde && point != 0xd7) point + 32 else point }
    else if (point < 0x180) loweredLatin(point)
    else if (point >= 0x391 && point <= 0x3ab) { if (point == 0x3a2) point else point + 32 }
    else if (point >= 0x410 && point <= 0x42f) point + 32
    else if (point >= 0x400 && point <= 0x40f) point + 80
    else if (point >= 0xff21 && point <= 0xff3a) point + 32
    else if (point == 0x386) 0x3ac
    else if (point >= 0x388 && point <= 0x38a) point + 37
    else if (point == 0x38c) 0x3cc
    else if (point == 0x38e || point == 0x38f) point + 63
    else point

  private def loweredLatin(point: Int): Int =
    if (point == 0x130 || point == 0x131 || point == 0x138 || point == 0x149 || point == 0x17f) point
    else if (point == 0x178) 0xff
    else {
      val isOddCapital = (point >= 0x139 && point <= 0x148) || point >= 0x179
      if ((point % 2 == 1) == isOddCapital) point + 1 else point
    }

  /** Bytes of the code point that begins with this one. */
  private[frame] def widthOf(first: Byte): Int = {
    val byte = first & 0xff
    if (byte < 0xc0) 1 else if (byte < 0xe0) 2 else if (byte < 0xf0) 3 else 4
  }

  private[frame] def pointAt(text: Array[Byte], at: Int, width: Int): Int = {
    val first = text(at) & 0xff
    if (width == 1) { if (first < 0x80) first else -1 }
    else {
      var point = first & (0xff >> (width + 1))
      var i = 1
      while (i < width) {
        point = (point << 6) | (text(at + i) & 0x3f)
        i += 1
      }
      point
    }
  }

  /** MurmurHash3 x86 32, seed 0, of bytes `from until until`. */
  def murmur3(bytes: Array[Byte], from: Int, until: Int): Int = {
    var hash = 0
    val length = until - from
    val end = from + (length & ~3)
    var at = from
    while (at < end) {
      val word = (bytes(at) & 0xff) | ((bytes(at + 1) & 0xff) << 8) | ((bytes(at + 2) & 0xff) << 16) | (bytes(at + 3) << 24)
      hash ^= mixed(word)
      hash = Integer.rotateLeft(hash, 13) * 5 + 0xe6546b64
      at += 4
    }
    var rest = 0
    var i = (length & 3) - 1
    while (i >= 0) {
      rest = (rest << 8) | (bytes(end + i) & 0xff)
      i -= 1
    }
    if ((length & 3) > 0) hash ^= mixed(rest)
    hash ^= length
    hash = (hash ^ (hash >>> 16)) * 0x85ebca6b
    hash = (hash ^ (hash >>> 13)) * 0xc2b2ae35
    hash ^ (hash >>> 16)
  }

  private def mixed(word: Int): Int = Integer.rotateLeft(word * 0xcc9e2d51, 15) * 0x1b873593
}
