package reprise.shim.ops

import reprise.shim.block.{Blas, Block, DenseBlock}
import reprise.shim.protocol.Json._

/** `tsmm`: t(X) %*% X over row blocks. */
object Tsmm extends BlockOp {
  val name = "tsmm"
  def compile(site: OpSite): Kernel = new TsmmKernel(site.inputs(0).cols)
}

final class TsmmKernel(cols: Int) extends ReduceKernel {
  def start(): Accumulator = new Accumulator {
    private val total = DenseBlock.zeros(cols, cols)
    def add(operands: Array[Block], startRow: Long): Unit =
      Blas.addGram(operands(0).dense.values, 0, operands(0).rows, cols, total.values, 0)
    def value: DenseBlock = {
      Blas.mirror(total.values, 0, cols, cols)
      total
    }
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock = Merge.sum(a, b)
}

/**
 * `matmul`: with the first operand blocked and not transposed, a map (blocked x broadcast); with it transposed, a
 * reduction over two co-partitioned operands.
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
  def apply(operands: Array[Block], startRow: Long): Block = {
    val a = operands(0).dense
    val b = operands(1).dense
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
    def add(operands: Array[Block], startRow: Long): Unit = {
      val a = operands(0).dense
      val b = operands(1).dense
      Blas.multiply(
        a.cols, b.cols, a.rows, a.values, 0, a.cols, transposeA = true, b.values, 0, b.cols, transposeB = false,
        1.0, total.values, 0, b.cols)
    }
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
      val x = operands(0).dense
      val v = operands(1).dense
      val n = v.cols
      val inner = DenseBlock.zeros(x.rows, n)
      Blas.multiply(
        x.rows, n, x.cols, x.values, 0, x.cols, transposeA = false, v.values, 0, n, transposeB = false,
        0.0, inner.values, 0, n)
      if (operands.length > 2) weigh(inner, operands(2).dense)
      Blas.multiply(
        x.cols, n, x.rows, x.values, 0, x.cols, transposeA = true, inner.values, 0, n, transposeB = false,
        1.0, total.values, 0, n)
    }

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
