package reprise.shim.block

import org.apache.spark.SparkEnv

/**
 * Compressed sparse rows: row i has the cells `values(starts(i) until starts(i + 1))` in the
 * ascending columns `columns(..)`; every other cell is +0. Kernels that skip the zeros ask
 * `isFinite` first of all they multiply, since 0 times NaN or infinity is not 0; where it does not
 * hold they take `dense`.
 */
final class SparseBlock(
    val rows: Int, val cols: Int, val starts: Array[Int], val columns: Array[Int], val values: Array[Double])
    extends Block {

  def nonZeros: Int = starts(rows)
  def bytes: Long = starts.length * 4L + columns.length * 4L + values.length * 8L + 64
  override def sparse: Option[SparseBlock] = Some(this)

  @transient lazy val isFinite: Boolean = SparseBlock.allFinite(values)

  def dense: DenseBlock = {
    val out = DenseBlock.zeros(rows, cols)
    foreach((row, col, value) => out.values(row * cols + col) = value)
    out
  }

  def addRows(order: Array[Int], from: Int, until: Int, out: Array[Double], at: Int, stride: Int): Unit = {
    var target = at
    var i = from
    while (i < until) {
      var k = starts(order(i))
      val end = starts(order(i) + 1)
      while (k < end) {
        out(target + columns(k)) += values(k)
        k += 1
      }
      target += stride
      i += 1
    }
  }

  override def sliceRows(from: Int, until: Int): SparseBlock =
    if (from == 0 && until == rows) this
    else {
      val first = starts(from)
      val end = starts(until)
      new SparseBlock(
        until - from, cols, Array.tabulate(until - from + 1)(i => starts(from + i) - first),
        java.util.Arrays.copyOfRange(columns, first, end), java.util.Arrays.copyOfRange(values, first, end))
    }

  def sliceColumns(from: Int, until: Int): SparseBlock = {
    val builder = new SparseBuilder(rows, until - from, nonZeros)
    foreach((row, col, value) => if (col >= from && col < until) builder.add(row, col - from, value))
    builder.result
  }

  /** Other values in the same places. */
  def withValues(changed: Array[Double]): SparseBlock = new SparseBlock(rows, cols, starts, columns, changed)

  /** The kept cells, row by row. */
  def foreach(visit: CellVisitor): Unit = {
    var i = 0
    while (i < rows) {
      var k = starts(i)
      while (k < starts(i + 1)) {
        visit(i, columns(k), values(k))
        k += 1
      }
      i += 1
    }
  }
}

/** A function of primitives: a `Function3` would box its arguments. */
trait CellVisitor { def apply(row: Int, col: Int, value: Double): Unit }

/** Takes cells row by row, columns ascending; zeros are left out. */
final class SparseBuilder(rows: Int, cols: Int, expected: Int) {
  private val starts = new Array[Int](rows + 1)
  private var columns = new Array[Int](math.max(expected, 4))
  private var values = new Array[Double](math.max(expected, 4))
  private var count = 0

  def add(row: Int, col: Int, value: Double): Unit =
    if (!SparseBlock.isZero(value)) {
      if (count == columns.length) {
        columns = java.util.Arrays.copyOf(columns, count * 2)
        values = java.util.Arrays.copyOf(values, count * 2)
      }
      columns(count) = col
      values(count) = value
      count += 1
      starts(row + 1) += 1
    }

  def result: SparseBlock = {
    var i = 0
    while (i < rows) {
      starts(i + 1) += starts(i)
      i += 1
    }
    new SparseBlock(rows, cols, starts, java.util.Arrays.copyOf(columns, count), java.util.Arrays.copyOf(values, count))
  }
}

object SparseBlock {
  /** +0 exactly: a kept -0 keeps its sign. */
  def isZero(value: Double): Boolean = java.lang.Double.doubleToRawLongBits(value) == 0L

  def allFinite(values: Array[Double]): Boolean = {
    var i = 0
    while (i < values.length && java.lang.Math.abs(values(i)) <= Double.MaxValue) i += 1
    i == values.length
  }

  def of(block: WholeBlock, expected: Int): SparseBlock = {
    val builder = new SparseBuilder(block.rows, block.cols, expected)
    var i = 0
    while (i < block.rows) {
      var j = 0
      while (j < block.cols) {
        builder.add(i, j, block.cell(i * block.cols + j))
        j += 1
      }
      i += 1
    }
    builder.result
  }
}

/** Which form a block is kept in. */
object BlockForm {
  /**
   * Density up to which compressed rows are kept. They are smaller up to two thirds, but the
   * products of dense rows run some thirty times as many operations a second.
   */
  val MaxDensity = 0.15
  /** Narrower blocks stay dense: there is nothing to skip. */
  private val MinColumns = 4

  /** `spark.reprise.blocks`: `auto`, or always `csr` or `dense` (used by tests). */
  private lazy val setting: String =
    Option(SparkEnv.get).map(_.conf.get("spark.reprise.blocks", "auto")).getOrElse("auto")

  def isSparse(density: Double, cols: Int): Boolean = setting match {
    case "csr" => true
    case "dense" => false
    case _ => cols >= MinColumns && density <= MaxDensity
  }

  /** The better form of a block: compressed rows stay as they came. */
  def best(block: Block): Block = block match {
    case whole: WholeBlock => of(whole)
    case other => other
  }

  /** The better form of these cells. */
  def of(block: WholeBlock): Block =
    if (setting == "dense" || (setting == "auto" && block.cols < MinColumns)) block
    else {
      val kept = nonZeros(block)
      if (isSparse(kept.toDouble / math.max(1, block.rows * block.cols), block.cols)) SparseBlock.of(block, kept) else block
    }

  private def nonZeros(block: WholeBlock): Int = {
    val cells = block.rows * block.cols
    var count = 0
    var i = 0
    while (i < cells) {
      if (!SparseBlock.isZero(block.cell(i))) count += 1
      i += 1
    }
    count
  }
}
