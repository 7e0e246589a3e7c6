package reprise.shim.ops

import reprise.shim.block.{Blas, Block, DenseBlock}
import reprise.shim.protocol.Json._

/** `weightedGram`: t(X) diag(w) X for each column w of the weights; see `driver/operators/weighted-gram.ts`. */
object WeightedGram extends BlockOp {
  val name = "weightedGram"
  def compile(site: OpSite): Kernel = new WeightedGramKernel(site.inputs(0).cols, site.inputs(1).cols)
}

final class WeightedGramKernel(d: Int, models: Int) extends ReduceKernel {
  def start(): Accumulator = new Accumulator {
    private val total = DenseBlock.zeros(models * d, d)
    private var scaled = new Array[Double](0)

    def add(operands: Array[Block], startRow: Long): Unit = {
      val x = operands(0).dense
      val w = operands(1).dense
      if (scaled.length < x.values.length) scaled = new Array[Double](x.values.length)
      var k = 0
      while (k < models) {
        var i = 0
        while (i < x.rows) {
          val weight = w(i, k)
          var at = i * d
          while (at < (i + 1) * d) {
            scaled(at) = weight * x.values(at)
            at += 1
          }
          i += 1
        }
        Blas.multiply(
          d, d, x.rows, x.values, 0, d, transposeA = true, scaled, 0, d, transposeB = false,
          1.0, total.values, k * d * d, d)
        k += 1
      }
    }

    def value: DenseBlock = total
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock = Merge.sum(a, b)
}

/** Where the matrices of the models of a stack lie; see `driver/operators/model-stack.ts`. */
final case class ModelView(rows: Int, cols: Int, step: Int, stride: Int) {

  /** Model k's cells and where they begin, row after row: the BLAS of Spark 3.5 takes no columns among others. */
  def packed(values: Array[Double], k: Int): (Array[Double], Int) =
    if (stride == cols) (values, k * step)
    else {
      val own = new Array[Double](rows * cols)
      var i = 0
      while (i < rows) {
        System.arraycopy(values, k * step + i * stride, own, i * cols, cols)
        i += 1
      }
      (own, 0)
    }
}

object ModelView {
  def apply(layout: String, rows: Int, cols: Int, models: Int): ModelView = layout match {
    case "shared" => ModelView(rows, cols, 0, cols)
    case "columns" => ModelView(rows, cols / models, cols / models, cols)
    case "stack" => ModelView(rows / models, cols, rows / models * cols, cols)
  }
}

/** `stackProduct`: a product for each model of a stack; see `driver/operators/stack-product.ts`. */
object StackProduct extends BlockOp {
  val name = "stackProduct"

  def compile(site: OpSite): Kernel = {
    def layout(name: String, fallback: String): String = Option(site.attrs.get(name)).fold(fallback)(_.asText)
    val product = new StackedProduct(
      site.attrs.integer("models"), layout("a", "stack"), layout("b", "columns"), layout("out", "columns"),
      site.attrs.flagOr("transposeA", fallback = false), site.attrs.flagOr("transposeB", fallback = false))
    if (product.isSum) new StackSumKernel(product, site.out) else new StackMapKernel(product)
  }
}

final class StackedProduct(
    models: Int, layoutA: String, layoutB: String, layoutOut: String, transposeA: Boolean, transposeB: Boolean)
    extends Serializable {

  /** Whether it sums over the rows of both operands. */
  def isSum: Boolean = transposeA && !transposeB && layoutA != "stack" && layoutB != "stack"

  /** Adds the products to `out`, or to zeros where none is given. */
  def apply(a: DenseBlock, b: DenseBlock, out: Option[DenseBlock]): DenseBlock = {
    val left = ModelView(layoutA, a.rows, a.cols, models)
    val right = ModelView(layoutB, b.rows, b.cols, models)
    val m = if (transposeA) left.cols else left.rows
    val inner = if (transposeA) left.rows else left.cols
    val n = if (transposeB) right.rows else right.cols
    val isStack = layoutOut == "stack"
    val result = out.getOrElse(if (isStack) DenseBlock.zeros(models * m, n) else DenseBlock.zeros(m, models * n))
    val view = ModelView(layoutOut, result.rows, result.cols, models)
    val product = new Array[Double](if (view.stride == n) 0 else m * n)
    var k = 0
    while (k < models) {
      val (own, ownAt) = left.packed(a.values, k)
      val (other, otherAt) = right.packed(b.values, k)
      val isPacked = view.stride == n
      if (!isPacked) java.util.Arrays.fill(product, 0.0)
      Blas.multiply(
        m, n, inner, own, ownAt, left.cols, transposeA, other, otherAt, right.cols, transposeB, 1.0,
        if (isPacked) result.values else product, if (isPacked) k * view.step else 0, n)
      var i = 0
      while (!isPacked && i < m) {
        var j = 0
        while (j < n) {
          result.values(k * view.step + i * view.stride + j) += product(i * n + j)
          j += 1
        }
        i += 1
      }
      k += 1
    }
    result
  }
}

final class StackMapKernel(product: StackedProduct) extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = product(operands(0).dense, operands(1).dense, None)
}

final class StackSumKernel(product: StackedProduct, shape: Shape) extends ReduceKernel {
  def start(): Accumulator = new Accumulator {
    private val total = DenseBlock.zeros(shape.rows.toInt, shape.cols)
    def add(operands: Array[Block], startRow: Long): Unit =
      product(operands(0).dense, operands(1).dense, Some(total))
    def value: DenseBlock = total
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock = Merge.sum(a, b)
}
