package reprise.shim.ops

import reprise.shim.block.{Block, DenseBlock, SparseBlock, SparseBuilder}
import reprise.shim.protocol.Json._

/**
 * The weighted products of factorisation, X ~ U V': only the cells of U V' that are asked about are
 * computed, one dot product each. Semantics of `driver/operators/{wsloss,wdivmm}.ts`: with weights
 * W they are asked about where W is not 0, without where X is not 0.
 */
object WeightedCells {
  /** The cells of f(w, x, u v'), in compressed rows; w is 1 where there are no weights. */
  def apply(x: Block, u: DenseBlock, v: DenseBlock, weights: Option[Block], f: WeightedCell): SparseBlock = {
    val support = compressed(weights.getOrElse(x))
    val other = weights.map(_ => x.dense)
    val out = new SparseBuilder(support.rows, support.cols, support.nonZeros)
    support.foreach { (row, col, value) =>
      if (value != 0) {
        val approximation = dot(u, row, v, col)
        out.add(row, col, other match {
          case None => f(1.0, value, approximation)
          case Some(cells) => f(value, cells(row, col), approximation)
        })
      }
    }
    out.result
  }

  private def compressed(block: Block): SparseBlock =
    block.sparse.getOrElse(SparseBlock.of(block.dense, block.rows * 4))

  private def dot(u: DenseBlock, row: Int, v: DenseBlock, col: Int): Double = {
    var total = 0.0
    var k = 0
    while (k < u.cols) {
      total += u.values(row * u.cols + k) * v.values(col * v.cols + k)
      k += 1
    }
    total
  }

  /** Of operands X, U, V and perhaps W. */
  def of(operands: Array[Block], f: WeightedCell): SparseBlock =
    apply(operands(0), operands(1).dense, operands(2).dense, operands.lift(3), f)
}

trait WeightedCell extends Serializable { def apply(weight: Double, x: Double, approximation: Double): Double }

/** What stands for u v' where it divides or its logarithm is taken: max(u v' + plus, least); NaN stays. */
final class ProductGuard(plus: Double, least: Double) extends Serializable {
  def apply(product: Double): Double = {
    val shifted = product + plus
    if (shifted < least) least else shifted
  }
}

object ProductGuard {
  def of(site: OpSite): ProductGuard =
    new ProductGuard(site.attrs.doubleOr("plus", 0), site.attrs.doubleOr("least", Double.NegativeInfinity))
}

/** `wsloss`: the sum of w (x - u v')^2. */
object WeightedLoss extends BlockOp {
  val name = "wsloss"
  def compile(site: OpSite): Kernel =
    new WeightedSumKernel((w, x, approximation) => w * (x - approximation) * (x - approximation))
}

/** `wcemm`: the sum of w x log(max(u v' + plus, least)). */
object WeightedCrossEntropy extends BlockOp {
  val name = "wcemm"
  def compile(site: OpSite): Kernel = {
    val guard = ProductGuard.of(site)
    new WeightedSumKernel((w, x, approximation) => w * (x * math.log(guard(approximation))))
  }
}

final class WeightedSumKernel(cell: WeightedCell) extends ReduceKernel {
  def start(): Accumulator = new Accumulator {
    private val total = DenseBlock.scalar(0)
    def add(operands: Array[Block], startRow: Long): Unit =
      total.values(0) += WeightedCells.of(operands, cell).values.sum
    def value: DenseBlock = total
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock = Merge.sum(a, b)
}

/** `wdivmm`: P V or P' U of the weighted residuals or quotients P. */
object WeightedProduct extends BlockOp {
  val name = "wdivmm"

  def compile(site: OpSite): Kernel = {
    val cell: WeightedCell =
      if (site.attrs.text("cells") == "residual") (w, x, approximation) => w * (approximation - x)
      else {
        val guard = ProductGuard.of(site)
        (w, x, approximation) => w * (x / guard(approximation))
      }
    if (site.attrs.text("side") == "right") new WeightedRightKernel(cell)
    else new WeightedLeftKernel(cell, site.out)
  }
}

final class WeightedRightKernel(cell: WeightedCell) extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = {
    val p = WeightedCells.of(operands, cell)
    val v = operands(2).dense
    val isFinite = p.isFinite && SparseBlock.allFinite(v.values)
    if (isFinite) SparseProducts.multiply(p, v, transposeB = false)
    else new MatMulKernel(transposeA = false, transposeB = false)(Array(p.dense, v), startRow)
  }
}

final class WeightedLeftKernel(cell: WeightedCell, shape: Shape) extends ReduceKernel {
  private val product = new TransposedMatMulKernel(shape)

  def start(): Accumulator = {
    val inner = product.start()
    new Accumulator {
      def add(operands: Array[Block], startRow: Long): Unit =
        inner.add(Array(WeightedCells.of(operands, cell), operands(1)), startRow)
      def value: DenseBlock = inner.value
    }
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock = Merge.sum(a, b)
}
