package reprise.shim.ops

import reprise.shim.block.{Block, CellVisitor, DenseBlock}
import reprise.shim.protocol.Json._

/**
 * `columnMoments`: weight, mean and squares about the mean of each column by row group; see
 * `driver/operators/column-moments.ts`. A block's own moments are about its means and are merged
 * pairwise (Chan, Golub and LeVeque 1979); zeros of compressed rows are counted, not visited.
 */
object ColumnMoments extends BlockOp {
  val name = "columnMoments"

  def compile(site: OpSite): Kernel =
    new ColumnMomentsKernel(
      site.attrs.integer("groups"), site.attrs.flagOr("weighted", fallback = false), site.out.cols)
}

final class ColumnMomentsKernel(groups: Int, weighted: Boolean, cols: Int) extends ReduceKernel {

  def start(): Accumulator = new Accumulator {
    private val total = DenseBlock.zeros(groups * 3, cols)

    def add(operands: Array[Block], startRow: Long): Unit = {
      val own = new BlockMoments(operands(0).dense.values, if (weighted) operands(2).dense.values else null)
      merge(total, own.of(operands(1)))
    }

    def value: DenseBlock = total
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock = {
    var first = 0
    while (first < a.values.length) {
      var at = first
      while (at < first + cols) {
        mergeColumn(a.values, b.values, at)
        at += 1
      }
      first += 3 * cols
    }
    a
  }

  private def mergeColumn(a: Array[Double], b: Array[Double], at: Int): Unit = {
    val (own, other) = (a(at), b(at))
    val (mean, squares) = (at + cols, at + 2 * cols)
    if (own == 0) {
      a(at) = other
      a(mean) = b(mean)
      a(squares) = b(squares)
    } else if (other != 0) {
      val delta = b(mean) - a(mean)
      a(at) = own + other
      a(mean) += delta * other / (own + other)
      a(squares) += b(squares) + delta * delta * own * other / (own + other)
    }
  }

  /** Rows of a block, by group and weight. */
  private final class BlockMoments(labels: Array[Double], weights: Array[Double]) {
    private val out = DenseBlock.zeros(groups * 3, cols)
    /** The weight of the cells visited, by group and column. */
    private val seen = new Array[Double](groups * cols)

    def of(x: Block): DenseBlock = {
      val counts = new Array[Double](groups)
      var i = 0
      while (i < labels.length) {
        if (isCounted(i)) counts(labels(i).toInt) += weightOf(i)
        i += 1
      }
      each(x) { (row, col, value) =>
        if (isCounted(row)) {
          val g = labels(row).toInt
          seen(g * cols + col) += weightOf(row)
          out.values((3 * g + 1) * cols + col) += weightOf(row) * value
        }
      }
      var g = 0
      while (g < groups) {
        if (counts(g) != 0) toMeans(g, counts(g))
        g += 1
      }
      each(x) { (row, col, value) =>
        if (isCounted(row)) {
          val at = (3 * labels(row).toInt + 1) * cols + col
          val delta = value - out.values(at)
          out.values(at + cols) += weightOf(row) * delta * delta
        }
      }
      out
    }

    /** Whether a row counts: one of no weight does not, whatever it holds. */
    private def isCounted(row: Int): Boolean = labels(row) >= 0 && labels(row) < groups && weightOf(row) != 0

    private def weightOf(row: Int): Double = if (weights == null) 1.0 else weights(row)

    /** Sums of a group become means, and squares begin with those of the zeros not visited. */
    private def toMeans(g: Int, count: Double): Unit = {
      var j = 0
      while (j < cols) {
        val at = 3 * g * cols + j
        out.values(at) = count
        val mean = out.values(at + cols) / count
        out.values(at + cols) = mean
        val zeros = count - seen(g * cols + j)
        out.values(at + 2 * cols) = if (zeros > 0) zeros * mean * mean else 0.0
        j += 1
      }
    }

    private def each(x: Block)(visit: CellVisitor): Unit = x.sparse match {
      case Some(sparse) => sparse.foreach(visit)
      case None =>
        val cells = x.dense.values
        var at = 0
        while (at < cells.length) {
          visit(at / cols, at % cols, cells(at))
          at += 1
        }
    }
  }
}
