package reprise.shim.ops

import reprise.shim.block.{Block, DenseBlock}
import reprise.shim.protocol.Json._

/** `slice`: of columns by blocks; of rows on whole operands. Ranges are `[from, to)`, null for all. */
object Slice extends BlockOp {
  val name = "slice"

  def compile(site: OpSite): Kernel = {
    def range(name: String): Option[(Int, Int)] =
      Option(site.attrs.get(name)).filter(_.isArray).map(node => (node.get(0).asInt, node.get(1).asInt))
    new SliceKernel(range("rows"), range("cols"))
  }
}

final class SliceKernel(rows: Option[(Int, Int)], cols: Option[(Int, Int)]) extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = {
    val in = operands(0).dense
    val (firstRow, endRow) = rows.getOrElse((0, in.rows))
    val (firstCol, endCol) = cols.getOrElse((0, in.cols))
    val width = endCol - firstCol
    val out = DenseBlock.zeros(endRow - firstRow, width)
    var i = 0
    while (i < out.rows) {
      System.arraycopy(in.values, (firstRow + i) * in.cols + firstCol, out.values, i * width, width)
      i += 1
    }
    out
  }
}

/** `cbind`: operands beside one another. */
object CBind extends BlockOp {
  val name = "cbind"
  def compile(site: OpSite): Kernel = new CBindKernel
}

final class CBindKernel extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = {
    val cols = operands.map(_.cols).sum
    val rows = operands(0).rows
    val out = DenseBlock.zeros(rows, cols)
    val order = Array.range(0, rows)
    var at = 0
    operands.foreach { operand =>
      operand.addRows(order, 0, rows, out.values, at, cols)
      at += operand.cols
    }
    out
  }
}
