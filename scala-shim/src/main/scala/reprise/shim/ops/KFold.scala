package reprise.shim.ops

import reprise.shim.block.DenseBlock
import reprise.shim.protocol.Json._

/** `kfold`: the fold number of every row, bit for bit as `driver/operators/kfold.ts`. */
object KFold extends BlockOp {
  val name = "kfold"

  def compile(site: OpSite): Kernel = new KFoldKernel(
    site.attrs.long("rows"),
    site.attrs.long("folds"),
    site.attrs.flag("shuffle"),
    site.attrs.doubleOr("seed", 0))
}

final class KFoldKernel(rows: Long, folds: Long, shuffle: Boolean, seed: Double) extends SourceKernel {

  def block(startRow: Long, count: Int): DenseBlock = {
    val permutation = if (shuffle) new Permutation(rows, seed) else null
    val out = new Array[Double](count)
    var i = 0
    while (i < count) {
      val at = startRow + i
      out(i) = fold(if (permutation == null) at else permutation(at)).toDouble
      i += 1
    }
    new DenseBlock(count, 1, out)
  }

  private def fold(position: Long): Long = {
    val small = rows / folds
    val larger = rows - small * folds
    val boundary = larger * (small + 1)
    if (position < boundary) position / (small + 1) else larger + (position - boundary) / small
  }
}

/** A keyed bijection of 0 until rows: a four-round Feistel network with cycle walking (Black and Rogaway 2002). */
final class Permutation(rows: Long, seed: Double) {
  private val bits: Int = Iterator.from(1).find(b => math.pow(4, b) >= rows.toDouble).get
  private val half: Long = 1L << bits
  private val mask: Int = (half - 1).toInt
  private val keys: Array[Int] = {
    val low = Bits.low32(seed)
    val high = Bits.low32(math.floor(seed / 4294967296.0))
    // JavaScript adds before it truncates to 32 bits, which modulo 2^32 is the same.
    Array.tabulate(4)(round => Bits.mix32(Bits.mix32(low + round * 0x9e3779b9) ^ high))
  }

  def apply(i: Long): Long = {
    var value = once(i)
    while (value >= rows) value = once(value)
    value
  }

  private def once(value: Long): Long = {
    var left = (value / half).toInt
    var right = (value % half).toInt
    var round = 0
    while (round < 4) {
      val next = left ^ (Bits.mix32(right ^ keys(round)) & mask)
      left = right
      right = next
      round += 1
    }
    (left & 0xffffffffL) * half + (right & 0xffffffffL)
  }
}

object Bits {
  /** `value >>> 0` of JavaScript for any finite number. */
  def low32(value: Double): Int = {
    val truncated = if (value < 0) math.ceil(value) else math.floor(value)
    val modulo = truncated % 4294967296.0
    modulo.toLong.toInt
  }

  /** The finaliser of MurmurHash3. */
  def mix32(word: Int): Int = {
    var h = word
    h = (h ^ (h >>> 16)) * 0x85ebca6b
    h = (h ^ (h >>> 13)) * 0xc2b2ae35
    h ^ (h >>> 16)
  }
}
