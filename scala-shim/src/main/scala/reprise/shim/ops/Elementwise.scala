package reprise.shim.ops

import reprise.shim.block.{Block, DenseBlock}

/**
 * The element-wise family; cells as in `driver/operators/<name>.ts`, IEEE 754 throughout. A dimension of 1 stretches,
 * so scalars, row vectors and column vectors meet matrices either side, block by block as on whole operands.
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
    unary("sqrt")(a => math.sqrt(a)),
    unary("square")(a => a * a),
    unary("sign")(a => math.signum(a)),
    // To the nearest whole number, ties to even, which is what `rint` does.
    unary("round")(a => math.rint(a)),
    unary("floor")(a => math.floor(a)),
    unary("ceil")(a => math.ceil(a)),
    unary("sigmoid")(a => 1 / (1 + math.exp(-a))),
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
  def apply(operands: Array[Block], startRow: Long): Block = {
    val in = operands(0).dense
    val out = DenseBlock.zeros(in.rows, in.cols)
    var i = 0
    while (i < out.values.length) {
      out.values(i) = cell(in.values(i))
      i += 1
    }
    out
  }
}

final class BinaryKernel(cell: BinaryCell) extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = {
    val a = operands(0).dense
    val b = operands(1).dense
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
