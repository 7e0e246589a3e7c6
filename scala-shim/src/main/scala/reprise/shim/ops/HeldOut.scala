package reprise.shim.ops

import reprise.shim.block.{Blas, Block, DenseBlock, SparseBlock}
import reprise.shim.protocol.Json._

/**
 * `heldOut`: decision values of each row under the models of its own group; see
 * `driver/operators/held-out.ts`. Rows are gathered by group, so each group is one product with its
 * models' weights.
 */
object HeldOut extends BlockOp {
  val name = "heldOut"
  def compile(site: OpSite): Kernel =
    new HeldOutKernel(site.attrs.integer("groups"), site.inputs(1).cols, site.out.cols)
}

final class HeldOutKernel(groups: Int, d: Int, cols: Int) extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = {
    val rows = new RowGroups(operands(0), groups)
    val w = operands(2).dense.values
    val out = DenseBlock.zeros(operands(1).rows, cols)
    operands(1).sparse.filter(_.isFinite && SparseBlock.allFinite(w)) match {
      case Some(sparse) => addSparse(sparse, rows, w, out)
      case None => addDense(operands(1), rows, w, out)
    }
    out
  }

  private def addSparse(x: SparseBlock, rows: RowGroups, w: Array[Double], out: DenseBlock): Unit = {
    val width = groups * cols
    var g = 0
    while (g < groups) {
      var at = rows.starts(g)
      while (at < rows.starts(g + 1)) {
        val row = rows.order(at)
        val target = row * cols
        System.arraycopy(w, d * width + g * cols, out.values, target, cols)
        var k = x.starts(row)
        while (k < x.starts(row + 1)) {
          val from = x.columns(k) * width + g * cols
          val value = x.values(k)
          var j = 0
          while (j < cols) {
            out.values(target + j) += value * w(from + j)
            j += 1
          }
          k += 1
        }
        at += 1
      }
      g += 1
    }
  }

  private def addDense(x: Block, rows: RowGroups, w: Array[Double], out: DenseBlock): Unit = {
    val most = (0 until groups).map(g => rows.starts(g + 1) - rows.starts(g)).max
    val gathered = new Array[Double](DenseBlock.cells(most, d))
    val decisions = new Array[Double](DenseBlock.cells(most, cols))
    var g = 0
    while (g < groups) {
      val from = rows.starts(g)
      val count = rows.starts(g + 1) - from
      if (count > 0) {
        java.util.Arrays.fill(gathered, 0, count * d, 0.0)
        x.addRows(rows.order, from, from + count, gathered, 0, d)
        val intercepts = d * groups * cols + g * cols
        var i = 0
        while (i < count) {
          System.arraycopy(w, intercepts, decisions, i * cols, cols)
          i += 1
        }
        Blas.multiply(
          count, cols, d,
          gathered, 0, d, transposeA = false,
          w, g * cols, groups * cols, transposeB = false,
          1.0, decisions, 0, cols)
        i = 0
        while (i < count) {
          System.arraycopy(decisions, i * cols, out.values, rows.order(from + i) * cols, cols)
          i += 1
        }
      }
      g += 1
    }
  }
}
