package reprise.shim.ops

import org.apache.commons.math3.special.Erf
import reprise.shim.block.{Block, DenseBlock, SparseBlock, SparseBuilder}

/**
 * The element-wise family; cells as in `driver/operators/<name>.ts`, IEEE 754 throughout. A
 * dimension of 1 stretches, so scalars, row vectors and column vectors meet matrices either side,
 * block by block as on whole operands.
 */
object Elementwise {
  val all: Seq[BlockOp] = Seq(
    binary("add")(_ + _),
    binary("sub")(_ - _),
    binary("mul")(_ * _),
    binary("div")(_ / _),
    binary("pow")((a, b) => math.pow(a, b)),
    binary("mod") { (a, b) =>
      val remainder = a % b
      if (remainder != 0 && (remainder < 0) != (b < 0)) remainder + b else remainder
    },
    binary("minimum")((a, b) => math.min(a, b)),
    binary("maximum")((a, b) => math.max(a, b)),
    binary("eq")((a, b) => flag(a == b)),
    binary("ne")((a, b) => flag(a != b)),
    binary("lt")((a, b) => flag(a < b)),
    binary("le")((a, b) => flag(a <= b)),
    binary("gt")((a, b) => flag(a > b)),
    binary("ge")((a, b) => flag(a >= b)),
    binary("and")((a, b) => flag(a != 0 && b != 0)),
    binary("or")((a, b) => flag(a != 0 || b != 0)),
    unary("neg")(a => -a),
    unary("abs")(a => math.abs(a)),
    unary("exp")(a => math.exp(a)),
    unary("log")(a => math.log(a)),
    unary("expm1")(a => math.expm1(a)),
    unary("log1p")(a => math.log1p(a)),
    unary("sqrt")(a => math.sqrt(a)),
    unary("square")(a => a * a),
    unary("sign")(a => math.signum(a)),
    // To the nearest whole number, ties to even, which is what `rint` does.
    unary("round")(a => math.rint(a)),
    unary("floor")(a => math.floor(a)),
    unary("ceil")(a => math.ceil(a)),
    unary("sigmoid")(a => 1 / (1 + math.exp(-a))),
    unary("tanh")(a => math.tanh(a)),
    unary("erf")(a => Erf.erf(a)),
    unary("softplus")(a => math.max(a, 0.0) + math.log1p(math.exp(-math.abs(a)))),
    unary("not")(a => flag(a == 0)),
    unary("isNaN")(a => flag(a.isNaN)),
    unary("recip")(a => 1 / a),
    new ElementwiseOp("ifelse", new IfElseKernel))

  private def flag(holds: Boolean): Double = if (holds) 1.0 else 0.0

  private def unary(name: String)(cell: UnaryCell): BlockOp = new ElementwiseOp(name, new UnaryKernel(cell))
  private def binary(name: String)(cell: BinaryCell): BlockOp = new ElementwiseOp(name, new BinaryKernel(cell))
}

/** Cells as interfaces of primitives: a `Function2` of doubles would be boxed in places. */
trait UnaryCell extends Serializable { def apply(a: Double): Double }
trait BinaryCell extends Serializable { def apply(a: Double, b: Double): Double }

final class ElementwiseOp(val name: String, kernel: MapKernel) extends BlockOp {
  def compile(site: OpSite): Kernel = kernel
}

final class UnaryKernel(cell: UnaryCell) extends MapKernel {
  private val keepsZeros = SparseBlock.isZero(cell(0.0))

  def apply(operands: Array[Block], startRow: Long): Block = operands(0).sparse match {
    case Some(sparse) if keepsZeros => sparse.withValues(cells(sparse.values))
    case _ =>
      val in = operands(0).dense
      new DenseBlock(in.rows, in.cols, cells(in.values))
  }

  private def cells(in: Array[Double]): Array[Double] = {
    val out = new Array[Double](in.length)
    var i = 0
    while (i < out.length) {
      out(i) = cell(in(i))
      i += 1
    }
    out
  }
}

final class BinaryKernel(cell: BinaryCell) extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block =
    overCompressed(operands(0), operands(1), cell)
      .orElse(overCompressed(operands(1), operands(0), (a, b) => cell(b, a)))
      .getOrElse(overDense(operands(0).dense, operands(1).dense))

  /**
   * A compressed operand meets a scalar, a row or a column of its own shape: the zeros stay where
   * the cell function of 0 and each value met is +0, which is asked of every one of them, so NaN
   * and infinities are as in dense blocks.
   */
  private def overCompressed(a: Block, b: Block, cell: BinaryCell): Option[Block] =
    a.sparse.filter(_ => isVectorOf(a, b)).flatMap { sparse =>
      val other = b.dense.values
      if (!other.forall(value => SparseBlock.isZero(cell(0.0, value)))) None
      else {
        val out = new SparseBuilder(sparse.rows, sparse.cols, sparse.nonZeros)
        val byRow = b.rows > 1
        val byColumn = b.cols > 1
        sparse.foreach { (row, col, value) =>
          out.add(row, col, cell(value, other(if (byRow) row else if (byColumn) col else 0)))
        }
        Some(out.result)
      }
    }

  private def isVectorOf(a: Block, b: Block): Boolean =
    (b.rows == 1 && b.cols == 1) || (b.rows == 1 && b.cols == a.cols) || (b.cols == 1 && b.rows == a.rows)

  private def overDense(a: DenseBlock, b: DenseBlock): Block = {
    val out = Broadcasting.shape(a, b)
    val cols = out.cols
    var i = 0
    while (i < out.rows) {
      val aRow = Broadcasting.rowAt(a, i)
      val bRow = Broadcasting.rowAt(b, i)
      val aStep = if (a.cols == 1) 0 else 1
      val bStep = if (b.cols == 1) 0 else 1
      var j = 0
      while (j < cols) {
        out.values(i * cols + j) = cell(a.values(aRow + j * aStep), b.values(bRow + j * bStep))
        j += 1
      }
      i += 1
    }
    out
  }
}

/** `ifelse(a, b, c)`: b where a is non-zero (NaN is), else c. */
final class IfElseKernel extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = {
    val parts = operands.map(_.dense)
    val out = Broadcasting.shape(parts: _*)
    val cols = out.cols
    var i = 0
    while (i < out.rows) {
      var j = 0
      while (j < cols) {
        val condition = Broadcasting.cell(parts(0), i, j)
        out.values(i * cols + j) = Broadcasting.cell(parts(if (condition != 0) 1 else 2), i, j)
        j += 1
      }
      i += 1
    }
    out
  }
}

object Broadcasting {
  def shape(parts: DenseBlock*): DenseBlock = DenseBlock.zeros(parts.map(_.rows).max, parts.map(_.cols).max)
  def rowAt(block: DenseBlock, i: Int): Int = if (block.rows == 1) 0 else i * block.cols
  def cell(block: DenseBlock, i: Int, j: Int): Double =
    block.values(rowAt(block, i) + (if (block.cols == 1) 0 else j))
}
