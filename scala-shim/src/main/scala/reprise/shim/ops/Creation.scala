package reprise.shim.ops

import reprise.shim.block.{Block, BlockForm, DenseBlock, SparseBlock, SparseBuilder}
import reprise.shim.protocol.Json._

/** `fill`: one value in every cell. */
object Fill extends BlockOp {
  val name = "fill"
  def compile(site: OpSite): Kernel = new FillKernel(site.out.cols, site.attrs.double("value"))
}

final class FillKernel(cols: Int, value: Double) extends SourceKernel {
  def block(startRow: Long, rows: Int): DenseBlock =
    new DenseBlock(rows, cols, Array.fill(DenseBlock.cells(rows, cols))(value))
}

/** `seq`: a column of evenly spaced numbers, from + i * by. */
object SeqOp extends BlockOp {
  val name = "seq"
  def compile(site: OpSite): Kernel = new SeqKernel(site.attrs.double("from"), site.attrs.double("by"))
}

final class SeqKernel(from: Double, by: Double) extends SourceKernel {
  def block(startRow: Long, rows: Int): DenseBlock =
    new DenseBlock(rows, 1, Array.tabulate(rows)(i => from + (startRow + i).toDouble * by))
}

/** `rand`: counter-based random numbers, bit for bit as `driver/operators/{rand,philox}.ts`. */
object Rand extends BlockOp {
  val name = "rand"

  def compile(site: OpSite): Kernel = {
    val attrs = site.attrs
    val normal = attrs.text("distribution") == "normal"
    val shift = if (normal) attrs.double("mean") else attrs.double("min")
    val scale = if (normal) attrs.double("std") else attrs.double("max") - attrs.double("min")
    new RandKernel(site.out.cols, attrs.double("seed"), normal, shift, scale, attrs.doubleOr("sparsity", 1.0))
  }
}

final class RandKernel(cols: Int, seed: Double, normal: Boolean, shift: Double, scale: Double, sparsity: Double)
    extends SourceKernel {

  def block(startRow: Long, rows: Int): Block =
    if (sparsity < 1 && BlockForm.isSparse(sparsity, cols)) sparseBlock(startRow, rows) else denseBlock(startRow, rows)

  /** Draws only the cells that are kept: a cell's bits do not depend on the others'. */
  private def sparseBlock(startRow: Long, rows: Int): SparseBlock = {
    val builder = new SparseBuilder(rows, cols, (rows * cols * sparsity * 1.1).toInt + 16)
    val keeps = new Philox(seed)
    val cells = new Philox(seed)
    var i = 0
    while (i < rows) {
      var j = 0
      while (j < cols) {
        keeps.draw(j, 1, startRow + i)
        if (Philox.uniform(keeps.high, keeps.low) < sparsity) {
          cells.draw(j, 0, startRow + i)
          builder.add(i, j, value(cells))
        }
        j += 1
      }
      i += 1
    }
    builder.result
  }

  private def value(philox: Philox): Double = {
    val unit =
      if (normal) InverseNormal(Philox.openUniform(philox.high, philox.low))
      else Philox.uniform(philox.high, philox.low)
    shift + unit * scale
  }

  private def denseBlock(startRow: Long, rows: Int): DenseBlock = {
    val out = DenseBlock.zeros(rows, cols)
    val philox = new Philox(seed)
    var i = 0
    while (i < rows) {
      fillRow(philox, startRow + i, out.values, i * cols)
      i += 1
    }
    out
  }

  private def fillRow(philox: Philox, row: Long, out: Array[Double], at: Int): Unit = {
    var j = 0
    while (j < cols) {
      philox.draw(j, 0, row)
      out(at + j) = value(philox)
      j += 1
    }
    if (sparsity < 1) {
      j = 0
      while (j < cols) {
        philox.draw(j, 1, row)
        if (Philox.uniform(philox.high, philox.low) >= sparsity) out(at + j) = 0
        j += 1
      }
    }
  }
}

/** Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC'11); `philox.ts` says which words make a cell. */
final class Philox(seed: Double) {
  private val key0 = Bits.low32(seed)
  private val key1 = Bits.low32(math.floor(seed / 4294967296.0))
  private val words = new Array[Int](4)
  private var drawnRow = -1L
  private var drawnStream = -1
  private var drawnPair = -1
  var high = 0
  var low = 0

  /** Sets `high` and `low` to the words of the cell. */
  def draw(col: Int, stream: Int, row: Long): Unit = {
    if (drawnPair != (col >> 1) || drawnRow != row || drawnStream != stream) {
      run(col >> 1, stream, row.toInt, (row >>> 32).toInt)
      drawnRow = row
      drawnStream = stream
      drawnPair = col >> 1
    }
    val first = (col & 1) * 2
    high = words(first)
    low = words(first + 1)
  }

  private def run(counter0: Int, counter1: Int, counter2: Int, counter3: Int): Unit = {
    var c0 = counter0
    var c1 = counter1
    var c2 = counter2
    var c3 = counter3
    var k0 = key0
    var k1 = key1
    var round = 0
    while (round < 10) {
      val product0 = (c0 & 0xffffffffL) * 0xd2511f53L
      val product1 = (c2 & 0xffffffffL) * 0xcd9e8d57L
      c0 = (product1 >>> 32).toInt ^ c1 ^ k0
      c1 = product1.toInt
      c2 = (product0 >>> 32).toInt ^ c3 ^ k1
      c3 = product0.toInt
      k0 += 0x9e3779b9
      k1 += 0xbb67ae85
      round += 1
    }
    words(0) = c0
    words(1) = c1
    words(2) = c2
    words(3) = c3
  }
}

object Philox {
  private val Unit53 = math.pow(2, -53)
  private val Unit52 = math.pow(2, -52)

  def uniform(high: Int, low: Int): Double =
    ((high >>> 5).toDouble * 67108864.0 + (low >>> 6).toDouble) * Unit53

  def openUniform(high: Int, low: Int): Double =
    ((high >>> 6).toDouble * 67108864.0 + (low >>> 6).toDouble + 0.5) * Unit52
}

/** Wichura's AS 241 (PPND16); `StrictMath.log` is the fdlibm logarithm of `inverse-normal.ts`. */
object InverseNormal {
  private val a = Array(
    3.3871328727963665, 133.14166789178438, 1971.5909503065513, 13731.69376550946, 45921.95393154987,
    67265.7709270087, 33430.57558358813, 2509.0809287301227)
  private val b = Array(
    1.0, 42.31333070160091, 687.1870074920579, 5394.196021424751, 21213.794301586597, 39307.89580009271,
    28729.085735721943, 5226.495278852546)
  private val c = Array(
    1.4234371107496835, 4.630337846156546, 5.769497221460691, 3.6478483247632045, 1.2704582524523684,
    0.2417807251774506, 0.022723844989269184, 0.0007745450142783414)
  private val d = Array(
    1.0, 2.053191626637759, 1.6763848301838038, 0.6897673349851, 0.14810397642748008, 0.015198666563616457,
    0.0005475938084995345, 1.0507500716444169e-9)
  private val e = Array(
    6.657904643501103, 5.463784911164114, 1.7848265399172913, 0.29656057182850487, 0.026532189526576124,
    0.0012426609473880784, 2.7115555687434876e-5, 2.0103343992922881e-7)
  private val f = Array(
    1.0, 0.599832206555888, 0.1369298809227358, 0.014875361290850615, 0.0007868691311456133,
    1.8463183175100548e-5, 1.421511758316446e-7, 2.0442631033899397e-15)

  def apply(p: Double): Double = {
    val q = p - 0.5
    if (math.abs(q) <= 0.425) {
      val r = 0.180625 - q * q
      q * polynomial(a, r) / polynomial(b, r)
    } else {
      val tail = if (q < 0) p else 1 - p
      val r = math.sqrt(-StrictMath.log(tail))
      val value =
        if (r <= 5) polynomial(c, r - 1.6) / polynomial(d, r - 1.6)
        else polynomial(e, r - 5) / polynomial(f, r - 5)
      if (q < 0) -value else value
    }
  }

  private def polynomial(coefficients: Array[Double], x: Double): Double = {
    var value = coefficients(7)
    var i = 6
    while (i >= 0) {
      value = value * x + coefficients(i)
      i -= 1
    }
    value
  }
}
