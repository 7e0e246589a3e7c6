package reprise.shim.ops

import scala.collection.JavaConverters._

import reprise.shim.block.DenseBlock
import reprise.shim.protocol.Json._

/** `kfold`: the fold number of every row, bit for bit as `driver/operators/kfold.ts`. */
object KFold extends BlockOp {
  val name = "kfold"

  def compile(site: OpSite): Kernel = {
    val folds = site.attrs.long("folds")
    val files = Option(site.attrs.get("files")).map(_.elements.asScala.toArray)
    val runs = Option(site.attrs.get("runs")).map(_.elements.asScala.map(_.asLong).toArray)
    (runs, files) match {
      case (Some(rows), _) => new FoldRunsKernel(rows, site.attrs.long("first"))
      case (_, Some(parts)) =>
        new FoldFilesKernel(
          parts.map(_.get(0).asLong), parts.map(_.get(1).asDouble), site.attrs.long("first"), folds)
      case _ =>
        new KFoldKernel(
          site.attrs.long("rows"), folds, site.attrs.flag("shuffle"), site.attrs.doubleOr("seed", 0))
    }
  }

  /** Fold of a position when `rows` rows are cut into contiguous folds. */
  def contiguous(position: Long, rows: Long, folds: Long): Long = {
    val small = rows / folds
    val larger = rows - small * folds
    val boundary = larger * (small + 1)
    if (position < boundary) position / (small + 1) else larger + (position - boundary) / small
  }

  /** The position after the last of a contiguous fold. */
  def end(fold: Long, rows: Long, folds: Long): Long = (fold + 1) * (rows / folds) + math.min(fold + 1, rows % folds)

  /** Calls `visit` with each part in the block: its number, first row, and rows `[from, until)`. */
  def overlaps(parts: Array[Long], startRow: Long, count: Int)(visit: (Int, Long, Long, Long) => Unit): Unit = {
    val starts = parts.scanLeft(0L)(_ + _)
    parts.indices.foreach { p =>
      val from = math.max(starts(p), startRow)
      val until = math.min(starts(p + 1), startRow + count)
      if (from < until) visit(p, starts(p), from, until)
    }
  }
}

final class KFoldKernel(rows: Long, folds: Long, shuffle: Boolean, seed: Double) extends SourceKernel {

  def block(startRow: Long, count: Int): DenseBlock = {
    val out = new Array[Double](count)
    if (shuffle) {
      val permutation = new Permutation(rows, seed)
      var i = 0
      while (i < count) {
        out(i) = KFold.contiguous(permutation(startRow + i), rows, folds).toDouble
        i += 1
      }
    } else {
      var from = 0
      while (from < count) {
        val fold = KFold.contiguous(startRow + from, rows, folds)
        val until = math.min(count.toLong, KFold.end(fold, rows, folds) - startRow).toInt
        java.util.Arrays.fill(out, from, until, fold.toDouble)
        from = until
      }
    }
    new DenseBlock(count, 1, out)
  }
}

/** Runs of rows, a fold each. */
final class FoldRunsKernel(runs: Array[Long], first: Long) extends SourceKernel {
  def block(startRow: Long, count: Int): DenseBlock = {
    val out = new Array[Double](count)
    KFold.overlaps(runs, startRow, count) { (p, _, from, until) =>
      java.util.Arrays.fill(out, (from - startRow).toInt, (until - startRow).toInt, (first + p).toDouble)
    }
    new DenseBlock(count, 1, out)
  }
}

/** Each file shuffled alone; fold numbers are turned by `first` and the rows of files before. */
final class FoldFilesKernel(rows: Array[Long], seeds: Array[Double], first: Long, folds: Long) extends SourceKernel {
  def block(startRow: Long, count: Int): DenseBlock = {
    val out = new Array[Double](count)
    KFold.overlaps(rows, startRow, count) { (p, start, from, until) =>
      val turn = (first + start) % folds
      val permutation = new Permutation(rows(p), seeds(p))
      var i = from
      while (i < until) {
        out((i - startRow).toInt) =
          ((KFold.contiguous(permutation(i - start), rows(p), folds) + turn) % folds).toDouble
        i += 1
      }
    }
    new DenseBlock(count, 1, out)
  }
}

/** A keyed bijection of 0 until rows: 4-round Feistel with cycle walking (Black, Rogaway 2002). */
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
