package reprise.shim.ops

import reprise.shim.block.{Blas, Block, DenseBlock, SparseBlock}
import reprise.shim.protocol.Json._

/** `tsmm`: t(X) %*% X over row blocks. */
object Tsmm extends BlockOp {
  val name = "tsmm"
  def compile(site: OpSite): Kernel = new TsmmKernel(site.inputs(0).cols)
}

final class TsmmKernel(cols: Int) extends ReduceKernel {
  def start(): Accumulator = new Accumulator {
    private val total = DenseBlock.zeros(cols, cols)
    def add(operands: Array[Block], startRow: Long): Unit = operands(0).sparse.filter(_.isFinite) match {
      case Some(sparse) => SparseProducts.addGram(sparse, total.values)
      case None => Blas.addGram(operands(0).dense.values, 0, operands(0).rows, cols, total.values, 0)
    }
    def value: DenseBlock = {
      Blas.mirror(total.values, 0, cols, cols)
      total
    }
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock = Merge.sum(a, b)
}

/**
 * `matmul`: with the first operand blocked and not transposed, a map (blocked x broadcast); with it
 * transposed, a reduction over two co-partitioned operands.
 */
object MatMul extends BlockOp {
  val name = "matmul"

  def compile(site: OpSite): Kernel = {
    val transposeA = site.attrs.flagOr("transposeA", fallback = false)
    val transposeB = site.attrs.flagOr("transposeB", fallback = false)
    if (transposeA && !transposeB) new TransposedMatMulKernel(site.out)
    else new MatMulKernel(transposeA, transposeB)
  }
}

final class MatMulKernel(transposeA: Boolean, transposeB: Boolean) extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block =
    operands(0).sparse
      .filter(a => !transposeA && a.isFinite && SparseBlock.allFinite(operands(1).dense.values))
      .map(a => SparseProducts.multiply(a, operands(1).dense, transposeB))
      .getOrElse(overDense(operands(0).dense, operands(1).dense))

  private def overDense(a: DenseBlock, b: DenseBlock): Block = {
    val m = if (transposeA) a.cols else a.rows
    val k = if (transposeA) a.rows else a.cols
    val n = if (transposeB) b.rows else b.cols
    val out = DenseBlock.zeros(m, n)
    Blas.multiply(m, n, k, a.values, 0, a.cols, transposeA, b.values, 0, b.cols, transposeB, 0.0, out.values, 0, n)
    out
  }
}

final class TransposedMatMulKernel(shape: Shape) extends ReduceKernel {
  def start(): Accumulator = new Accumulator {
    private val total = DenseBlock.zeros(shape.rows.toInt, shape.cols)
    def add(operands: Array[Block], startRow: Long): Unit =
      (operands(0).sparse.filter(_.isFinite), operands(1).sparse.filter(_.isFinite)) match {
        case (Some(a), _) if SparseBlock.allFinite(operands(1).dense.values) =>
          SparseProducts.addTransposed(a, operands(1).dense, total.values)
        case (_, Some(b)) if SparseBlock.allFinite(operands(0).dense.values) =>
          SparseProducts.addTransposed(operands(0).dense, b, total.values)
        case _ => addDense(operands(0).dense, operands(1).dense)
      }

    private def addDense(a: DenseBlock, b: DenseBlock): Unit = Blas.multiply(
      a.cols, b.cols, a.rows, a.values, 0, a.cols, transposeA = true, b.values, 0, b.cols, transposeB = false,
      1.0, total.values, 0, b.cols)

    def value: DenseBlock = total
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock = Merge.sum(a, b)
}

/** `mmchain`: t(X) %*% (X %*% v), or t(X) %*% (w * (X %*% v)), in one pass over X. */
object MmChain extends BlockOp {
  val name = "mmchain"
  def compile(site: OpSite): Kernel = new MmChainKernel(site.out)
}

final class MmChainKernel(shape: Shape) extends ReduceKernel {
  def start(): Accumulator = new Accumulator {
    private val total = DenseBlock.zeros(shape.rows.toInt, shape.cols)
    def add(operands: Array[Block], startRow: Long): Unit = {
      val v = operands(1).dense
      val isSparse = operands(0).sparse.exists(_.isFinite) && SparseBlock.allFinite(v.values)
      val inner = if (isSparse) SparseProducts.multiply(operands(0).sparse.get, v, transposeB = false)
        else product(operands(0).dense, v)
      if (operands.length > 2) weigh(inner, operands(2).dense)
      if (isSparse && SparseBlock.allFinite(inner.values)) {
        SparseProducts.addTransposed(operands(0).sparse.get, inner, total.values)
      } else addTransposed(operands(0).dense, inner)
    }

    private def product(x: DenseBlock, v: DenseBlock): DenseBlock = {
      val inner = DenseBlock.zeros(x.rows, v.cols)
      Blas.multiply(
        x.rows, v.cols, x.cols, x.values, 0, x.cols, transposeA = false, v.values, 0, v.cols, transposeB = false,
        0.0, inner.values, 0, v.cols)
      inner
    }

    private def addTransposed(x: DenseBlock, inner: DenseBlock): Unit = Blas.multiply(
      x.cols, inner.cols, x.rows, x.values, 0, x.cols, transposeA = true,
      inner.values, 0, inner.cols, transposeB = false, 1.0, total.values, 0, inner.cols)

    private def weigh(inner: DenseBlock, w: DenseBlock): Unit = {
      var i = 0
      while (i < inner.values.length) {
        inner.values(i) *= (if (w.cols == 1) w.values(i / inner.cols) else w.values(i))
        i += 1
      }
    }

    def value: DenseBlock = total
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock = Merge.sum(a, b)
}
