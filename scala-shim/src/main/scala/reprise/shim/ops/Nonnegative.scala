package reprise.shim.ops

import reprise.shim.block.{Block, DenseBlock}
import reprise.shim.protocol.Json._

/** `nonnegative`: rows as sums of nonnegative parts; see `driver/operators/nonnegative.ts`. */
object Nonnegative extends BlockOp {
  val name = "nonnegative"
  def compile(site: OpSite): Kernel = {
    val attrs = site.attrs
    val penalties = new Penalties(attrs.double("l1"), attrs.double("l2"))
    new NonnegativeKernel(
      attrs.integer("groups"), attrs.integer("width"), attrs.text("loss") == "frobenius", penalties,
      attrs.text("gives") == "parts")
  }
}

final class Penalties(val l1: Double, val l2: Double) extends Serializable

final class NonnegativeKernel(groups: Int, width: Int, isSquared: Boolean, penalties: Penalties, givesParts: Boolean)
    extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = {
    val g = operands(0).dense.values
    val x = operands(1).dense
    val h = operands(2).dense
    val models = h.cols / groups / width
    val solvers = Array.tabulate(groups * models)(m => new PartsSolver(h, m * width, width, isSquared, penalties))
    val out = DenseBlock.zeros(x.rows, if (givesParts) models * width else models)
    val row = new Array[Double](x.cols)
    var i = 0
    while (i < x.rows) {
      val group = g(i)
      if (group >= 0 && group < groups) {
        System.arraycopy(x.values, i * x.cols, row, 0, x.cols)
        var m = 0
        while (m < models) {
          val solver = solvers(group.toInt * models + m)
          solver.solve(row)
          if (givesParts) System.arraycopy(solver.w, 0, out.values, i * out.cols + m * width, width)
          else out.values(i * out.cols + m) = solver.squaredError(row)
          m += 1
        }
      }
      i += 1
    }
    out
  }
}

/** One model's parts: `width` columns of t(H) from `first` on. */
final class PartsSolver(source: DenseBlock, first: Int, width: Int, isSquared: Boolean, penalties: Penalties) {
  private val MaxSweeps = 10000
  private val LeastMove = 1e-11
  private val d = source.rows
  private val h = Array.tabulate(width * d)(at => source.values(at % d * source.cols + first + at / d))
  private val gram = Array.tabulate(width * width) { at =>
    var sum = if (at / width == at % width) penalties.l2 else 0.0
    for (j <- 0 until d) sum += h(at / width * d + j) * h(at % width * d + j)
    sum
  }
  private val right = new Array[Double](width)
  private val sums = new Array[Double](d)
  val w = new Array[Double](width)

  def solve(x: Array[Double]): Unit = if (isSquared) leastSquares(x) else leastDivergence(x)

  private def sweeps(coordinate: Int => Double): Unit = {
    var sweep = 0
    var moved = Double.PositiveInfinity
    var most = 0.0
    while (sweep < MaxSweeps && moved > LeastMove * most) {
      moved = 0
      most = 0
      addUp()
      var t = 0
      while (t < width) {
        val next = coordinate(t)
        val move = next - w(t)
        if (!isSquared) {
          var j = 0
          while (j < d) {
            sums(j) += move * h(t * d + j)
            j += 1
          }
        }
        moved = math.max(moved, math.abs(move))
        most = math.max(most, next)
        w(t) = next
        t += 1
      }
      sweep += 1
    }
  }

  private def addUp(): Unit = if (!isSquared) {
    java.util.Arrays.fill(sums, 0.0)
    for (t <- 0 until width; j <- 0 until d) sums(j) += w(t) * h(t * d + j)
  }

  private def leastSquares(x: Array[Double]): Unit = {
    for (t <- 0 until width) {
      var sum = -penalties.l1
      for (j <- 0 until d) sum += h(t * d + j) * x(j)
      right(t) = sum
    }
    java.util.Arrays.fill(w, 0.0)
    sweeps { t =>
      val own = gram(t * width + t)
      if (own == 0) w(t)
      else {
        var left = right(t)
        var r = 0
        while (r < width) {
          left -= gram(t * width + r) * w(r)
          r += 1
        }
        val to = w(t) + left / own
        if (to < 0) 0.0 else to
      }
    }
  }

  private def leastDivergence(x: Array[Double]): Unit =
    if (!x.forall(_ >= 0)) java.util.Arrays.fill(w, Double.NaN)
    else {
      val size = h.sum
      java.util.Arrays.fill(w, if (size > 0) x.sum / size else 0.0)
      sweeps(t => ofDivergence(t, x))
    }

  /** A Newton step, towards 0 at most nine tenths of the way unless 0 is the least. */
  private def ofDivergence(t: Int, x: Array[Double]): Double = {
    val own = w(t)
    var slope = penalties.l1 + penalties.l2 * own
    var bend = penalties.l2
    var atZero = penalties.l1
    var j = 0
    while (j < d) {
      val cell = h(t * d + j)
      if (cell != 0) {
        slope += cell
        atZero += cell
        if (x(j) != 0) {
          val ratio = x(j) / sums(j)
          slope -= cell * ratio
          bend += cell * cell * ratio / sums(j)
          val rest = sums(j) - own * cell
          atZero -= (if (rest > 1e-14 * sums(j)) cell * x(j) / rest else Double.PositiveInfinity)
        }
      }
      j += 1
    }
    if (atZero >= 0) 0.0
    else {
      val to = own - slope / bend
      if (to > 0.1 * own) to else if (own > 0) 0.1 * own else 0.0
    }
  }

  def squaredError(x: Array[Double]): Double = {
    var sum = 0.0
    for (j <- 0 until d) {
      var rest = x(j)
      for (t <- 0 until width) rest -= w(t) * h(t * d + j)
      sum += rest * rest
    }
    sum
  }
}
