package reprise.shim.ops

import reprise.shim.block.{Block, DenseBlock, WholeBlock}
import reprise.shim.protocol.Json._

/** `groupSums`: sums of the rows of each group; see `driver/operators/group-sums.ts`. */
object GroupSums extends BlockOp {
  val name = "groupSums"
  def compile(site: OpSite): Kernel = new GroupSumsKernel(site.attrs.integer("groups"), site.out.cols)
}

final class GroupSumsKernel(groups: Int, cols: Int) extends ReduceKernel {
  def start(): Accumulator = new Accumulator {
    private val total = DenseBlock.zeros(groups, cols)

    def add(operands: Array[Block], startRow: Long): Unit = {
      val numbers = operands(0).dense.values
      // Blocks are summed on their own and then added, which keeps sums over many rows accurate.
      val own = DenseBlock.zeros(groups, cols)
      operands(1).sparse match {
        case Some(sparse) => sparse.foreach { (row, col, value) =>
          if (isGroup(numbers(row))) own.values(numbers(row).toInt * cols + col) += value
        }
        case None => addDense(operands(1).dense.values, numbers, own.values)
      }
      Merge.sum(total, own)
    }

    private def addDense(cells: Array[Double], numbers: Array[Double], sums: Array[Double]): Unit = {
      var i = 0
      while (i < numbers.length) {
        if (isGroup(numbers(i))) {
          val at = numbers(i).toInt * cols
          var j = 0
          while (j < cols) {
            sums(at + j) += cells(i * cols + j)
            j += 1
          }
        }
        i += 1
      }
    }

    private def isGroup(number: Double): Boolean = number >= 0 && number < groups

    def value: DenseBlock = total
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock = Merge.sum(a, b)
}

/** `takeRows`: row i is row g_i of a table, zeros where there is none. */
object TakeRows extends BlockOp {
  val name = "takeRows"
  def compile(site: OpSite): Kernel = new TakeRowsKernel
}

final class TakeRowsKernel extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = {
    val numbers = operands(0).dense.values
    val table = operands(1).plain
    val out = WholeBlock.zeros(numbers.length, table.cols, table.isSingle)
    var i = 0
    while (i < numbers.length) {
      if (numbers(i) >= 0 && numbers(i) < table.rows) {
        System.arraycopy(table.cells, numbers(i).toInt * table.cols, out.cells, i * table.cols, table.cols)
      }
      i += 1
    }
    out
  }
}
