package reprise.shim.ops

import reprise.shim.block.{Block, DenseBlock, SparseBlock}

/** The aggregates of `driver/operators/aggregate.ts`: full and by column reduce, by row map. */
object Aggregates {
  val all: Seq[BlockOp] = Seq(
    full("sum", SumFold), byRow("rowSums", SumFold), byColumn("colSums", SumFold),
    full("sumSq", SumSqFold), byRow("rowSumSqs", SumSqFold), byColumn("colSumSqs", SumSqFold),
    full("min", MinFold), byRow("rowMins", MinFold), byColumn("colMins", MinFold),
    full("max", MaxFold), byRow("rowMaxs", MaxFold), byColumn("colMaxs", MaxFold),
    new FixedOp("rowIndexMax", new RowIndexKernel(1)),
    new FixedOp("rowIndexMin", new RowIndexKernel(-1)))

  private def full(name: String, fold: Fold): BlockOp =
    new FixedOp(name, new FoldKernel(fold, byColumn = false, cols = 1))

  private def byColumn(name: String, fold: Fold): BlockOp = new ColumnFoldOp(name, fold)

  private def byRow(name: String, fold: Fold): BlockOp = new FixedOp(name, new RowFoldKernel(fold))
}

final class ColumnFoldOp(val name: String, fold: Fold) extends BlockOp {
  def compile(site: OpSite): Kernel = new FoldKernel(fold, byColumn = true, cols = site.inputs(0).cols)
}

/** An operator whose kernel needs neither attributes nor shapes. */
final class FixedOp(val name: String, kernel: Kernel) extends BlockOp {
  def compile(site: OpSite): Kernel = kernel
}

sealed abstract class Fold(val start: Double) extends Serializable {
  def step(total: Double, cell: Double): Double
  def merge(a: Double, b: Double): Double
}
object SumFold extends Fold(0) {
  def step(total: Double, cell: Double): Double = total + cell
  def merge(a: Double, b: Double): Double = a + b
}
object SumSqFold extends Fold(0) {
  def step(total: Double, cell: Double): Double = total + cell * cell
  def merge(a: Double, b: Double): Double = a + b
}
object MinFold extends Fold(Double.PositiveInfinity) {
  def step(total: Double, cell: Double): Double = math.min(total, cell)
  def merge(a: Double, b: Double): Double = math.min(a, b)
}
object MaxFold extends Fold(Double.NegativeInfinity) {
  def step(total: Double, cell: Double): Double = math.max(total, cell)
  def merge(a: Double, b: Double): Double = math.max(a, b)
}

final class FoldKernel(fold: Fold, byColumn: Boolean, cols: Int) extends ReduceKernel {
  def start(): Accumulator = new Accumulator {
    private val total = Array.fill(cols)(fold.start)

    def add(operands: Array[Block], startRow: Long): Unit = {
      // Blocks are folded on their own and then merged, which keeps sums over many rows accurate.
      val own = Array.fill(cols)(fold.start)
      operands(0).sparse match {
        case Some(sparse) => addSparse(sparse, own)
        case None => addDense(operands(0).dense, own)
      }
      var j = 0
      while (j < cols) {
        total(j) = fold.merge(total(j), own(j))
        j += 1
      }
    }

    private def addDense(in: DenseBlock, own: Array[Double]): Unit = {
      var i = 0
      while (i < in.values.length) {
        val target = if (byColumn) i % cols else 0
        own(target) = fold.step(own(target), in.values(i))
        i += 1
      }
    }

    private def addSparse(in: SparseBlock, own: Array[Double]): Unit = {
      val seen = new Array[Long](cols)
      in.foreach { (_, col, value) =>
        val target = if (byColumn) col else 0
        own(target) = fold.step(own(target), value)
        seen(target) += 1
      }
      val cells = if (byColumn) in.rows.toLong else in.rows.toLong * in.cols
      var j = 0
      while (j < cols) {
        // Any number of zeros counts as one, in each fold here.
        if (seen(j) < cells) own(j) = fold.step(own(j), 0.0)
        j += 1
      }
    }

    def value: DenseBlock = new DenseBlock(1, cols, total)
  }

  def merge(a: DenseBlock, b: DenseBlock): DenseBlock =
    new DenseBlock(1, cols, Array.tabulate(cols)(j => fold.merge(a.values(j), b.values(j))))
}

final class RowFoldKernel(fold: Fold) extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block =
    operands(0).sparse.map(overSparse).getOrElse(overDense(operands(0).dense))

  private def overSparse(in: SparseBlock): Block = {
    val out = new Array[Double](in.rows)
    var i = 0
    while (i < in.rows) {
      var total = fold.start
      var k = in.starts(i)
      while (k < in.starts(i + 1)) {
        total = fold.step(total, in.values(k))
        k += 1
      }
      out(i) = if (in.starts(i + 1) - in.starts(i) < in.cols) fold.step(total, 0.0) else total
      i += 1
    }
    new DenseBlock(in.rows, 1, out)
  }

  private def overDense(in: DenseBlock): Block = {
    val out = DenseBlock.zeros(in.rows, 1)
    var i = 0
    while (i < in.rows) {
      var total = fold.start
      var j = 0
      while (j < in.cols) {
        total = fold.step(total, in(i, j))
        j += 1
      }
      out.values(i) = total
      i += 1
    }
    out
  }
}

/** Zero-based column of a row's first greatest (`sign` 1) or least (-1) cell; of the first NaN. */
final class RowIndexKernel(sign: Int) extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = {
    val in = operands(0).dense
    val out = DenseBlock.zeros(in.rows, 1)
    var i = 0
    while (i < in.rows) {
      out.values(i) = best(in, i)
      i += 1
    }
    out
  }

  private def best(in: DenseBlock, row: Int): Int = {
    var best = 0
    var j = 0
    while (j < in.cols) {
      val cell = in(row, j)
      if (cell.isNaN) return j
      if ((if (sign > 0) cell > in(row, best) else cell < in(row, best))) best = j
      j += 1
    }
    best
  }
}
