package reprise.shim.frame

import java.nio.{ByteBuffer, ByteOrder}

import org.apache.parquet.io.ParquetDecodingException
import org.apache.spark.unsafe.Platform

/**
 * Whole numbers as Parquet keeps positions in a dictionary and levels ("RLE/bit-packing hybrid"): runs of one number
 * repeated, and runs of numbers of `width` bits each. Invariant: what is read lies within `data`.
 */
final class NumberRuns(data: ByteBuffer, width: Int) {
  if (width < 0 || width > 32) throw new ParquetDecodingException(s"runs: expected numbers of 0 to 32 bits, got $width")

  /** With eight bytes more, so that any number is within a word that can be read. */
  private val bytes = new Array[Byte](data.remaining + 8)
  private val in = ByteBuffer.wrap(bytes, 0, data.remaining)
  data.duplicate().get(bytes, 0, data.remaining)

  private val mask = (1L << width) - 1
  private var left = 0
  private var isPacked = false
  private var value = 0
  /** Where the next packed number begins. */
  private var bit = 0L

  def read(out: Array[Int], count: Int): Unit = {
    var done = 0
    while (done < count) {
      while (left == 0) next()
      val some = math.min(left, count - done)
      if (isPacked) unpack(out, done, some) else java.util.Arrays.fill(out, done, done + some, value)
      left -= some
      done += some
    }
  }

  /** By words and without a look at bounds, which `next` has seen to: this runs for every number of a column. */
  private def unpack(out: Array[Int], at: Int, count: Int): Unit = {
    var place = bit
    var i = 0
    while (i < count) {
      val word = Platform.getLong(bytes, Platform.BYTE_ARRAY_OFFSET + (place >>> 3))
      out(at + i) = ((NumberRuns.little(word) >>> (place & 7)) & mask).toInt
      place += width
      i += 1
    }
    bit = place
  }

  private def next(): Unit = {
    val header = variable()
    isPacked = (header & 1) == 1
    if (isPacked) {
      // The last group of eight may be cut short.
      val numbers = (header >>> 1) * 8L
      val bytes = math.min((header >>> 1).toLong * width, in.remaining)
      left = math.min(Int.MaxValue, if (width == 0) numbers else math.min(numbers, bytes * 8 / width)).toInt
      bit = in.position * 8L
      in.position(in.position + bytes.toInt)
    } else {
      left = header >>> 1
      value = 0
      var i = 0
      while (i < (width + 7) / 8) {
        value |= (in.get() & 0xff) << (8 * i)
        i += 1
      }
    }
  }

  /** A number of seven bits a byte, the lowest first. */
  private def variable(): Int = {
    var number = 0
    var shift = 0
    var byte = in.get()
    while ((byte & 0x80) != 0 && shift < 28) {
      number |= (byte & 0x7f) << shift
      shift += 7
      byte = in.get()
    }
    number | (byte & 0x7f) << shift
  }
}

private object NumberRuns {
  private val isLittle = ByteOrder.nativeOrder == ByteOrder.LITTLE_ENDIAN

  /** The number of eight bytes, the lowest first, that were read as this machine has them. */
  def little(word: Long): Long = if (isLittle) word else java.lang.Long.reverseBytes(word)
}
