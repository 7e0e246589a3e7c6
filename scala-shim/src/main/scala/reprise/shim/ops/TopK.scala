package reprise.shim.ops

import java.util.{Arrays, Comparator}

import scala.collection.mutable

import reprise.shim.block.{Block, DenseBlock}
import reprise.shim.protocol.Json._

/**
 * The first k rows ordered by a column, numbered; the order is that of `driver/operators/top-k.ts`.
 * The first k of two runs of rows are among the first k of each, so no more than k rows of a
 * partition are ever held, or sent.
 */
object TopK extends BlockOp {
  val name = "topK"
  def compile(site: OpSite): Kernel =
    new TopKKernel(
      site.attrs.integer("k"), site.attrs.integer("by"), site.attrs.flag("descending"), site.inputs(0).cols)
}

final class TopKKernel(k: Int, by: Int, descending: Boolean, cols: Int) extends ReduceKernel {
  private val width = cols + 1

  def start(): Accumulator = new Accumulator {
    private var best = DenseBlock.zeros(0, width)
    private val pending = mutable.ArrayBuffer[DenseBlock]()
    private var pendingRows = 0L

    def add(operands: Array[Block], startRow: Long): Unit = {
      val block = operands(0).dense
      val found = candidates(block, startRow)
      if (found.length > 0) {
        pending += numbered(block, startRow, found)
        pendingRows += found.length
        if (pendingRows >= k) settle()
      }
    }

    def value: DenseBlock = {
      settle()
      best
    }

    private def settle(): Unit = {
      if (pending.nonEmpty) best = first(best +: pending.toSeq)
      pending.clear()
      pendingRows = 0
    }

    /** Rows that come before the last of those found so far, at most k, in order. */
    private def candidates(block: DenseBlock, startRow: Long): Array[Int] = {
      val isFull = best.rows >= k
      val rows = Array.newBuilder[Int]
      var i = 0
      while (i < block.rows) {
        if (!isFull || isBefore(block(i, by), (startRow + i).toDouble, best(k - 1, by + 1), best(k - 1, 0))) rows += i
        i += 1
      }
      val all = rows.result()
      if (all.length <= k) all
      else sorted(all, i => block(i, by), i => (startRow + i).toDouble).take(k)
    }
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock = first(Seq(a, b))

  private def numbered(block: DenseBlock, startRow: Long, rows: Array[Int]): DenseBlock = {
    val out = DenseBlock.zeros(rows.length, width)
    var r = 0
    while (r < rows.length) {
      out.values(r * width) = (startRow + rows(r)).toDouble
      System.arraycopy(block.values, rows(r) * cols, out.values, r * width + 1, cols)
      r += 1
    }
    out
  }

  /** The first k of numbered rows. */
  private def first(parts: Seq[DenseBlock]): DenseBlock = {
    val all = new DenseBlock(parts.map(_.rows).sum, width, Array.concat(parts.map(_.values): _*))
    val order = sorted(Array.range(0, all.rows), i => all(i, by + 1), i => all(i, 0))
    val out = DenseBlock.zeros(math.min(k, all.rows), width)
    var r = 0
    while (r < out.rows) {
      System.arraycopy(all.values, order(r) * width, out.values, r * width, width)
      r += 1
    }
    out
  }

  private def sorted(rows: Array[Int], cell: Int => Double, number: Int => Double): Array[Int] = {
    val boxed = rows.map(Int.box)
    Arrays.sort(boxed, new Comparator[Integer] {
      def compare(a: Integer, b: Integer): Int =
        if (a.intValue == b.intValue) 0
        else if (isBefore(cell(a), number(a), cell(b), number(b))) -1
        else 1
    })
    boxed.map(_.intValue)
  }

  /** NaN last whatever the direction, equal cells by row. */
  private def isBefore(a: Double, rowA: Double, b: Double, rowB: Double): Boolean =
    if (a < b) !descending
    else if (a > b) descending
    else if (a.isNaN != b.isNaN) b.isNaN
    else rowA < rowB
}
