package reprise.shim.ops

import reprise.shim.block.{Blas, Block, DenseBlock}
import reprise.shim.protocol.Json._
import reprise.shim.protocol.ShimError

/**
 * `groupLoss`: summed losses of many linear models on their own group's rows; see
 * `driver/operators/group-loss.ts`. Rows are gathered by group, so each group is one product with
 * its models' weights.
 */
object GroupLoss extends BlockOp {
  val name = "groupLoss"

  def compile(site: OpSite): Kernel = {
    val losses = site.attrs.items("losses").map(_.asText).toArray
    losses.find(loss => loss != "squared" && loss != "absolute").foreach { loss =>
      throw ShimError.unsupported(s"groupLoss: expected losses `squared` or `absolute`, got `$loss`")
    }
    new GroupLossKernel(site.attrs.integer("groups"), losses, site.inputs(1).cols, site.out.cols)
  }
}

final class GroupLossKernel(groups: Int, losses: Array[String], d: Int, columns: Int) extends ReduceKernel {
  private val models = columns / groups

  def start(): Accumulator = new Accumulator {
    private val total = new Array[Double](losses.length * columns)
    private var gathered = new Array[Double](0)
    private var predicted = new Array[Double](0)

    def add(operands: Array[Block], startRow: Long): Unit = {
      val rows = new RowGroups(operands(0), groups)
      val y = operands(2).dense.values
      val weights = operands(3).dense.values
      var g = 0
      while (g < groups) {
        val from = rows.starts(g)
        val until = rows.starts(g + 1)
        if (until > from) addGroup(g, operands(1), rows.order, from, until, y, weights)
        g += 1
      }
    }

    private def addGroup(
        g: Int, x: Block, order: Array[Int], from: Int, until: Int, y: Array[Double], w: Array[Double]): Unit = {
      val count = until - from
      if (gathered.length < count * d) gathered = new Array[Double](DenseBlock.cells(count, d))
      if (predicted.length < count * models) predicted = new Array[Double](DenseBlock.cells(count, models))
      java.util.Arrays.fill(gathered, 0, count * d, 0.0)
      x.addRows(order, from, until, gathered, 0, d)
      Blas.multiply(
        count, models, d,
        gathered, 0, d, transposeA = false,
        w, g * models, columns, transposeB = false,
        0.0, predicted, 0, models)
      var l = 0
      while (l < losses.length) {
        val at = l * columns + g * models
        if (losses(l) == "squared") addLoss(residual => residual * residual, g, order, from, until, y, w, at)
        else addLoss(residual => math.abs(residual), g, order, from, until, y, w, at)
        l += 1
      }
    }

    private def addLoss(
        loss: UnaryCell, g: Int, order: Array[Int], from: Int, until: Int,
        y: Array[Double], w: Array[Double], at: Int): Unit = {
      val intercepts = d * columns + g * models
      var i = from
      while (i < until) {
        val target = y(order(i))
        val row = (i - from) * models
        var m = 0
        while (m < models) {
          total(at + m) += loss(target - w(intercepts + m) - predicted(row + m))
          m += 1
        }
        i += 1
      }
    }

    def value: DenseBlock = new DenseBlock(losses.length, columns, total)
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock = Merge.sum(a, b)
}
