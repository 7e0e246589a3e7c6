package reprise.shim.ops

import reprise.shim.block.{Blas, Block, DenseBlock}
import reprise.shim.protocol.Json._

/** `bestColumns`: the place of each model's greatest decision value; see `driver/operators/best-columns.ts`. */
object BestColumns extends BlockOp {
  val name = "bestColumns"
  def compile(site: OpSite): Kernel = new BestColumnsKernel(Widths.of(site), site.inputs(0).cols)
}

private object Widths {
  def of(site: OpSite): Array[Int] = site.attrs.items("widths").map(_.asInt).toArray
}

final class BestColumnsKernel(widths: Array[Int], d: Int) extends MapKernel {
  private val columns = widths.sum
  private val pieceRows = math.max(64, (1 << 18) / columns)

  def apply(operands: Array[Block], startRow: Long): Block = {
    val x = operands(0).dense
    val w = operands(1).dense.values
    val out = DenseBlock.zeros(x.rows, widths.length)
    val decisions = new Array[Double](DenseBlock.cells(math.min(pieceRows, x.rows), columns))
    var from = 0
    while (from < x.rows) {
      val rows = math.min(pieceRows, x.rows - from)
      var i = 0
      while (i < rows) {
        System.arraycopy(w, d * columns, decisions, i * columns, columns)
        i += 1
      }
      Blas.multiply(
        rows, columns, d, x.values, from * d, d, transposeA = false,
        w, 0, columns, transposeB = false, 1.0, decisions, 0, columns)
      i = 0
      while (i < rows) {
        choose(decisions, i * columns, out, (from + i) * widths.length)
        i += 1
      }
      from += rows
    }
    out
  }

  private def choose(decisions: Array[Double], start: Int, out: DenseBlock, at: Int): Unit = {
    var column = start
    var m = 0
    while (m < widths.length) {
      var best = Double.NegativeInfinity
      var place = 0
      var k = 0
      while (k < widths(m)) {
        if (decisions(column) > best) {
          best = decisions(column)
          place = k
        }
        column += 1
        k += 1
      }
      out.values(at + m) = place
      m += 1
    }
  }
}

/** `regroupSums`: how sums by group change when rows change groups; see `driver/operators/regroup-sums.ts`. */
object RegroupSums extends BlockOp {
  val name = "regroupSums"
  def compile(site: OpSite): Kernel =
    new RegroupSumsKernel(Widths.of(site), site.inputs(0).cols)
}

final class RegroupSumsKernel(widths: Array[Int], d: Int) extends ReduceKernel {
  private val starts = widths.scanLeft(0)(_ + _)

  def start(): Accumulator = new Accumulator {
    private val total = DenseBlock.zeros(starts.last, d + 1)

    def add(operands: Array[Block], startRow: Long): Unit = {
      val own = DenseBlock.zeros(starts.last, d + 1)
      val x = operands(0).dense
      val from = operands(1).dense.values
      val to = operands(2).dense.values
      val weights = if (operands.length > 3) Some(operands(3).dense) else None
      val models = widths.length
      var i = 0
      while (i < x.rows) {
        var m = 0
        while (m < models) {
          val before = from(i * models + m)
          val after = to(i * models + m)
          if (before != after) {
            val weight = weights.map(w => w.values(if (w.cols == 1) i else i * models + m)).getOrElse(1.0)
            if (weight != 0) {
              if (before >= 0 && before < widths(m)) addRow(own, starts(m) + before.toInt, x, i, -weight)
              if (after >= 0 && after < widths(m)) addRow(own, starts(m) + after.toInt, x, i, weight)
            }
          }
          m += 1
        }
        i += 1
      }
      Merge.sum(total, own)
    }

    private def addRow(sums: DenseBlock, group: Int, x: DenseBlock, row: Int, weight: Double): Unit = {
      val at = group * (d + 1)
      var j = 0
      while (j < d) {
        sums.values(at + j) += weight * x.values(row * d + j)
        j += 1
      }
      sums.values(at + d) += weight
    }

    def value: DenseBlock = total
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock = Merge.sum(a, b)
}
