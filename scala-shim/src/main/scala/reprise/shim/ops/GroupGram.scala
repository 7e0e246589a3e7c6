package reprise.shim.ops

import reprise.shim.block.{Blas, Block, DenseBlock, EncodedBlock}
import reprise.shim.protocol.Json._

/**
 * `groupGram`: moments of [X Y] per row group, centred or plain; see
 * `driver/operators/group-gram.ts`. Each block's rows are gathered by group, shifted by the block's
 * column means, and multiplied by dsyrk; the centred result of the block is merged pairwise (Chan,
 * Golub and LeVeque 1979), so large means cost no accuracy. Rows of one-hot features mostly are summed
 * without their zeros (`CodedMoments`).
 */
object GroupGram extends BlockOp {
  val name = "groupGram"

  def compile(site: OpSite): Kernel =
    new GroupGramKernel(
      site.attrs.integer("groups"), site.attrs.flag("center"), site.attrs.flagOr("weighted", fallback = false),
      site.out.cols)
}

final class GroupGramKernel(groups: Int, center: Boolean, weighted: Boolean, side: Int) extends ReduceKernel {

  def start(): Accumulator = new Accumulator {
    private val total = new Array[Double](DenseBlock.cells(groups.toLong * side, side))
    private lazy val gram = new Array[Double]((side - 1) * (side - 1))
    private var coded: CodedMoments = null
    private var buffer = new Array[Double](0)

    def add(operands: Array[Block], startRow: Long): Unit = {
      val rows = new RowGroups(operands(0), groups)
      if (rows.count == 0) return
      val weights = if (weighted) operands.last.dense.values else null
      val parts = operands.slice(1, if (weighted) operands.length - 1 else operands.length).map(_.compact)
      if (groups.toLong * side * side <= CodedMoments.MaxCells && CodedMoments.serves(parts)) {
        if (coded == null) coded = new CodedMoments(groups, center, side)
        coded.add(parts, rows, weights, total)
      } else {
        val columns = if (weighted) None else GroupMoments.columnsOf(parts)
        columns.fold(addDense(operands, rows, weights))(addColumns(_, rows))
      }
    }

    /** Rows whose columns are there one by one, packed that way. */
    private def addColumns(columns: Array[Array[Double]], rows: RowGroups): Unit = {
      val p = side - 1
      val n = rows.count
      // Native BLAS wants a whole column from where a group's part of the last one begins.
      if (buffer.length < n * (p + 1)) buffer = new Array[Double](DenseBlock.cells(n, p + 1))
      val shift = if (center) columns.map(GroupMoments.meanOfFirst(_, rows.order)) else null
      var g = 0
      while (g < groups) {
        val from = rows.starts(g)
        val count = rows.starts(g + 1) - from
        if (count > 0) {
          val sums = new Array[Double](p)
          var c = 0
          while (c < p) {
            GroupMoments.shifted(columns(c), rows.order, from, count, if (shift == null) 0.0 else shift(c), buffer, c * n + from)
            sums(c) = GroupMoments.sum(buffer, c * n + from, count)
            c += 1
          }
          java.util.Arrays.fill(gram, 0.0)
          Blas.addGramOfColumns(buffer, from, n, count, p, gram, 0)
          Blas.mirror(gram, 0, p, p)
          GroupMoments.add(total, g * side * side, side, count, sums, gram, shift)
        }
        g += 1
      }
    }

    private def addDense(operands: Array[Block], rows: RowGroups, weights: Array[Double]): Unit = {
      val p = side - 1
      if (buffer.length < rows.count * p) buffer = new Array[Double](DenseBlock.cells(rows.count, p))
      val shift = if (center) columnMeans(operands, rows, p) else null
      gather(operands, rows, p, shift)
      var g = 0
      while (g < groups) {
        val from = rows.starts(g)
        val count = rows.starts(g + 1) - from
        if (count > 0) {
          val (weight, sums) = weightedSums(rows.order, from, count, p, weights)
          java.util.Arrays.fill(gram, 0.0)
          Blas.addGram(buffer, from * p, count, p, gram, 0)
          Blas.mirror(gram, 0, p, p)
          if (weight != 0) GroupMoments.add(total, g * side * side, side, weight, sums, gram, shift)
        }
        g += 1
      }
    }

    private def gather(operands: Array[Block], rows: RowGroups, p: Int, shift: Array[Double]): Unit = {
      var i = 0
      while (i < rows.count) {
        if (shift == null) java.util.Arrays.fill(buffer, i * p, (i + 1) * p, 0.0)
        else {
          var j = 0
          while (j < p) {
            buffer(i * p + j) = -shift(j)
            j += 1
          }
        }
        i += 1
      }
      addParts(operands, rows, 0, rows.count, buffer, p)
    }

    /** Means over the rows of a prefix of the block: any shift near the data will do. */
    private def columnMeans(operands: Array[Block], rows: RowGroups, p: Int): Array[Double] = {
      val sample = math.min(rows.count, 256)
      java.util.Arrays.fill(buffer, 0, sample * p, 0.0)
      addParts(operands, rows, 0, sample, buffer, p)
      val sums = columnSums(0, sample, p)
      sums.map(_ / sample)
    }

    private def addParts(operands: Array[Block], rows: RowGroups, from: Int, until: Int, out: Array[Double], p: Int): Unit = {
      var column = 0
      var k = 1
      val end = if (weighted) operands.length - 1 else operands.length
      while (k < end) {
        operands(k).addRows(rows.order, from, until, out, column, p)
        column += operands(k).cols
        k += 1
      }
    }

    /** The weight of a group's rows and the sums of their columns; rows are left times sqrt(w). */
    private def weightedSums(
        order: Array[Int], from: Int, count: Int, p: Int, weights: Array[Double]): (Double, Array[Double]) =
      if (weights == null) (count.toDouble, columnSums(from, count, p))
      else {
        val sums = new Array[Double](p)
        var total = 0.0
        var i = from
        while (i < from + count) {
          val weight = weights(order(i))
          val root = math.sqrt(weight)
          total += weight
          var j = 0
          while (j < p) {
            sums(j) += weight * buffer(i * p + j)
            buffer(i * p + j) *= root
            j += 1
          }
          i += 1
        }
        (total, sums)
      }

    private def columnSums(from: Int, count: Int, p: Int): Array[Double] = {
      val sums = new Array[Double](p)
      var at = from * p
      var i = 0
      while (i < count) {
        var j = 0
        while (j < p) {
          sums(j) += buffer(at + j)
          j += 1
        }
        at += p
        i += 1
      }
      sums
    }

    def value: DenseBlock = {
      if (coded != null) coded.addTo(total)
      coded = null
      new DenseBlock(groups * side, side, total)
    }
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock =
    if (!center) Merge.sum(a, b)
    else {
      var g = 0
      while (g < groups) {
        GroupMoments.mergeCentered(a.values, b.values, g * side * side, g * side * side, side)
        g += 1
      }
      a
    }
}

/** Arithmetic on one group's (p+1) x (p+1) block of moments. */
object GroupMoments {

  /** The columns of operands side by side; None where one has others than numbers as they were read. */
  def columnsOf(parts: Array[Block]): Option[Array[Array[Double]]] = {
    val own = parts.flatMap {
      case encoded: EncodedBlock => encoded.numbers
      case _ => None
    }
    if (own.length == parts.length) Some(own.flatten) else None
  }

  /** In four chains, as one addition has to wait for the one before. */
  def sum(cells: Array[Double], from: Int, count: Int): Double = {
    var a = 0.0
    var b = 0.0
    var c = 0.0
    var d = 0.0
    val until = from + count
    var i = from
    while (i < until - 3) {
      a += cells(i)
      b += cells(i + 1)
      c += cells(i + 2)
      d += cells(i + 3)
      i += 4
    }
    while (i < until) {
      a += cells(i)
      i += 1
    }
    a + b + (c + d)
  }

  /** Cells `order(from until from + count)` less `shift`; rows of one group often lie side by side. */
  def shifted(
      column: Array[Double], order: Array[Int], from: Int, count: Int, shift: Double, out: Array[Double], at: Int): Unit = {
    val first = order(from)
    var i = 0
    if (order(from + count - 1) - first == count - 1) {
      while (i < count) {
        out(at + i) = column(first + i) - shift
        i += 1
      }
    } else {
      while (i < count) {
        out(at + i) = column(order(from + i)) - shift
        i += 1
      }
    }
  }

  /** The mean over the first rows: any shift near the data will do. */
  def meanOfFirst(column: Array[Double], order: Array[Int]): Double = {
    val sample = math.min(order.length, 256)
    var total = 0.0
    var i = 0
    while (i < sample) {
      total += column(order(i))
      i += 1
    }
    total / sample
  }

  /**
   * Adds rows of weight `count` given by sums and products of (z - shift); `shift` null stands for the plain,
   * uncentred form. Shifted to centred: mean = shift + sum/n, C = G - sum sum'/n.
   */
  def add(
      total: Array[Double], base: Int, side: Int,
      count: Double, sums: Array[Double], gram: Array[Double], shift: Array[Double]): Unit = {
    val p = side - 1
    val one = new Array[Double](side * side)
    one(0) = count
    var i = 0
    while (i < p) {
      val row = (i + 1) * side
      val first = if (shift == null) sums(i) else shift(i) + sums(i) / count
      one(i + 1) = first
      one(row) = first
      var j = 0
      while (j < p) {
        one(row + j + 1) = if (shift == null) gram(i * p + j) else gram(i * p + j) - sums(i) * sums(j) / count
        j += 1
      }
      i += 1
    }
    if (shift != null) mergeCentered(total, one, base, 0, side)
    else {
      var k = 0
      while (k < one.length) {
        total(base + k) += one(k)
        k += 1
      }
    }
  }

  /** Adds centred moments at `b(bBase..)` to `a(aBase..)` (Chan, Golub, LeVeque 1979, eq. 2.1). */
  def mergeCentered(a: Array[Double], b: Array[Double], aBase: Int, bBase: Int, side: Int): Unit = {
    val na = a(aBase)
    val nb = b(bBase)
    if (nb == 0) return
    if (na == 0) {
      System.arraycopy(b, bBase, a, aBase, side * side)
      return
    }
    val n = na + nb
    val weight = na * nb / n
    val delta = new Array[Double](side)
    var i = 1
    while (i < side) {
      delta(i) = b(bBase + i) - a(aBase + i)
      i += 1
    }
    i = 1
    while (i < side) {
      val row = i * side
      val scaled = weight * delta(i)
      var j = 1
      while (j < side) {
        a(aBase + row + j) += b(bBase + row + j) + scaled * delta(j)
        j += 1
      }
      val mean = a(aBase + i) + delta(i) * nb / n
      a(aBase + i) = mean
      a(aBase + row) = mean
      i += 1
    }
    a(aBase) = n
  }
}
