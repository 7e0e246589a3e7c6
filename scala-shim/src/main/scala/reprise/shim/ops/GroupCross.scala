package reprise.shim.ops

import reprise.shim.block.{Blas, Block, DenseBlock}
import reprise.shim.protocol.Json._

/**
 * `groupCross`: cross moments of A and B per row group, centred or plain; see
 * `driver/operators/group-cross.ts`. Each block's rows are gathered by group as [1, z - shift] and
 * multiplied; the centred result of the block is merged pairwise (Chan, Golub and LeVeque 1979), so
 * large means cost no accuracy.
 */
object GroupCross extends BlockOp {
  val name = "groupCross"

  def compile(site: OpSite): Kernel =
    new GroupCrossKernel(
      site.attrs.integer("groups"), site.attrs.flag("center"), site.inputs(1).cols + 1, site.inputs(2).cols + 1)
}

final class GroupCrossKernel(groups: Int, center: Boolean, left: Int, right: Int) extends ReduceKernel {

  def start(): Accumulator = new Accumulator {
    private val total = new Array[Double](DenseBlock.cells(groups.toLong * left, right))

    def add(operands: Array[Block], startRow: Long): Unit = {
      val rows = new RowGroups(operands(0), groups)
      if (rows.count == 0) return
      val a = gathered(operands(1), rows, left)
      val b = gathered(operands(2), rows, right)
      val one = new Array[Double](left * right)
      var g = 0
      while (g < groups) {
        val from = rows.starts(g)
        val until = rows.starts(g + 1)
        if (until > from) {
          multiply(a._1, b._1, from, until, one)
          if (center) toCentered(one, a._2, b._2)
          CrossMoments.add(total, one, g * left * right, 0, left, right, center)
        }
        g += 1
      }
    }

    /** Rows [1, z - shift] in the order of groups, and the shift: means over the first rows. */
    private def gathered(operand: Block, rows: RowGroups, width: Int): (Array[Double], Array[Double]) = {
      val cells = new Array[Double](DenseBlock.cells(rows.count, width))
      operand.addRows(rows.order, 0, rows.count, cells, 1, width)
      val shift = new Array[Double](width)
      if (center) {
        val sample = math.min(rows.count, 256)
        forEach(sample, width)((i, j) => shift(j) += cells(i * width + j) / sample)
        forEach(rows.count, width)((i, j) => cells(i * width + j) -= shift(j))
      }
      var i = 0
      while (i < rows.count) {
        cells(i * width) = 1
        i += 1
      }
      (cells, shift)
    }

    private def forEach(rows: Int, width: Int)(visit: (Int, Int) => Unit): Unit = {
      var i = 0
      while (i < rows) {
        var j = 1
        while (j < width) {
          visit(i, j)
          j += 1
        }
        i += 1
      }
    }

    private def multiply(a: Array[Double], b: Array[Double], from: Int, until: Int, out: Array[Double]): Unit = {
      java.util.Arrays.fill(out, 0.0)
      var row = from
      while (row < until) {
        var i = 0
        while (i < left) {
          val cell = a(row * left + i)
          var j = 0
          while (j < right) {
            out(i * right + j) += cell * b(row * right + j)
            j += 1
          }
          i += 1
        }
        row += 1
      }
    }

    /** Shifted to centred: mean = shift + sum/n, C = M - sums of A times sums of B / n. */
    private def toCentered(one: Array[Double], aShift: Array[Double], bShift: Array[Double]): Unit = {
      val n = one(0)
      var i = 1
      while (i < left) {
        val scaled = one(i * right) / n
        var j = 1
        while (j < right) {
          one(i * right + j) -= scaled * one(j)
          j += 1
        }
        one(i * right) = aShift(i) + scaled
        i += 1
      }
      var j = 1
      while (j < right) {
        one(j) = bShift(j) + one(j) / n
        j += 1
      }
    }

    def value: DenseBlock = new DenseBlock(groups * left, right, total)
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock = {
    var g = 0
    while (g < groups) {
      CrossMoments.add(a.values, b.values, g * left * right, g * left * right, left, right, center)
      g += 1
    }
    a
  }
}

/** Arithmetic on one group's (p+1) x (q+1) block of cross moments. */
object CrossMoments {

  /** Adds those at `b(bBase..)` to those at `a(aBase..)` (Chan, Golub, LeVeque 1979, eq. 2.1). */
  def add(
      a: Array[Double], b: Array[Double], aBase: Int, bBase: Int, left: Int, right: Int, center: Boolean): Unit = {
    val na = a(aBase)
    val nb = b(bBase)
    if (nb == 0) return
    if (na == 0) {
      System.arraycopy(b, bBase, a, aBase, left * right)
      return
    }
    if (!center) {
      var k = 0
      while (k < left * right) {
        a(aBase + k) += b(bBase + k)
        k += 1
      }
      return
    }
    val n = na + nb
    val weight = na * nb / n
    var i = 1
    while (i < left) {
      val own = aBase + i * right
      val other = bBase + i * right
      val delta = b(other) - a(own)
      var j = 1
      while (j < right) {
        a(own + j) += b(other + j) + weight * delta * (b(bBase + j) - a(aBase + j))
        j += 1
      }
      a(own) += delta * nb / n
      i += 1
    }
    var j = 1
    while (j < right) {
      a(aBase + j) += (b(bBase + j) - a(aBase + j)) * nb / n
      j += 1
    }
    a(aBase) = n
  }
}
