package reprise.shim.ops

import reprise.shim.block.{Block, DenseBlock}
import reprise.shim.protocol.Json._

/** `foldCols`: the row aggregate of each run of columns; a run is a row of the same cells. */
object FoldCols extends BlockOp {
  val name = "foldCols"

  private val kernels: Map[String, MapKernel] = Map(
    "sum" -> new RowFoldKernel(SumFold), "sumSq" -> new RowFoldKernel(SumSqFold),
    "min" -> new RowFoldKernel(MinFold), "max" -> new RowFoldKernel(MaxFold),
    "indexMax" -> new RowIndexKernel(1), "indexMin" -> new RowIndexKernel(-1))

  def compile(site: OpSite): Kernel =
    new FoldColsKernel(kernels(site.attrs.text("fold")), site.attrs.integer("width"))
}

final class FoldColsKernel(ofRow: MapKernel, width: Int) extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = {
    val in = operands(0).dense
    val runs = new DenseBlock(in.values.length / width, width, in.values)
    new DenseBlock(in.rows, in.cols / width, ofRow(Array(runs), startRow).dense.values)
  }
}

/** `softmax`: exp(z) / sum exp(z) over each run of columns; see `driver/operators/softmax.ts`. */
object Softmax extends BlockOp {
  val name = "softmax"
  def compile(site: OpSite): Kernel = new SoftmaxKernel(site.attrs.integer("width"))
}

final class SoftmaxKernel(width: Int) extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = {
    val in = operands(0).dense
    val out = DenseBlock.zeros(in.rows, in.cols)
    var from = 0
    while (from < in.values.length) {
      ofRun(in.values, from, out.values)
      from += width
    }
    out
  }

  private def ofRun(z: Array[Double], from: Int, out: Array[Double]): Unit = {
    val end = from + width
    var greatest = z(from)
    var at = from + 1
    while (at < end) {
      if (z(at) > greatest) greatest = z(at)
      at += 1
    }
    var sum = 0.0
    at = from
    while (at < end) {
      out(at) = math.exp(z(at) - greatest)
      sum += out(at)
      at += 1
    }
    at = from
    while (at < end) {
      out(at) /= sum
      at += 1
    }
  }
}
