package reprise.shim.ops

import reprise.shim.block.{Block, DenseBlock, SparseBlock, SparseBuilder, WholeBlock}
import reprise.shim.protocol.Json._
import reprise.shim.protocol.ShimError

/** `slice`: of columns by blocks; of rows by moving them. Ranges are `[from, to)`, null for all. */
object Slice extends BlockOp {
  val name = "slice"

  def compile(site: OpSite): Kernel = {
    def range(name: String): Option[(Long, Long)] =
      Option(site.attrs.get(name)).filter(_.isArray).map(node => (node.get(0).asLong, node.get(1).asLong))
    val columns = range("cols").map { case (from, until) => (from.toInt, until.toInt) }
    range("rows") match {
      case Some((from, until)) => new SliceRowsKernel(Move.Cut(from, until, columns))
      case None => new SliceColumnsKernel(columns)
    }
  }
}

final class SliceColumnsKernel(columns: Option[(Int, Int)]) extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = ColumnRange(operands(0), columns)
}

final class SliceRowsKernel(val move: Move.Cut) extends MoveKernel {
  def whole(operands: Array[Block]): Block =
    ColumnRange(operands(0).sliceRows(move.from.toInt, move.until.toInt), move.columns)
}

object ColumnRange {
  def apply(block: Block, columns: Option[(Int, Int)]): Block = columns match {
    case None => block
    case Some((0, until)) if until == block.cols => block
    case Some((from, until)) => block.sparse.map(_.sliceColumns(from, until)).getOrElse(copy(block.plain, from, until))
  }

  private def copy(in: WholeBlock, from: Int, until: Int): WholeBlock = {
    val out = WholeBlock.zeros(in.rows, until - from, in.isSingle)
    var i = 0
    while (i < in.rows) {
      System.arraycopy(in.cells, i * in.cols + from, out.cells, i * out.cols, out.cols)
      i += 1
    }
    out
  }
}

/** `cbind`: operands beside one another. */
object CBind extends BlockOp {
  val name = "cbind"
  def compile(site: OpSite): Kernel = new CBindKernel
}

final class CBindKernel extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = {
    val parts = operands.flatMap(_.sparse)
    if (parts.length == operands.length) besideSparse(parts) else besideDense(operands)
  }

  private def besideDense(operands: Array[Block]): DenseBlock = {
    val cols = operands.map(_.cols).sum
    val rows = operands(0).rows
    val out = DenseBlock.zeros(rows, cols)
    var at = 0
    operands.foreach { operand =>
      val in = operand.dense
      var i = 0
      while (i < rows) {
        System.arraycopy(in.values, i * in.cols, out.values, i * cols + at, in.cols)
        i += 1
      }
      at += in.cols
    }
    out
  }

  private def besideSparse(parts: Array[SparseBlock]): SparseBlock = {
    val rows = parts(0).rows
    val builder = new SparseBuilder(rows, parts.map(_.cols).sum, parts.map(_.nonZeros).sum)
    var i = 0
    while (i < rows) {
      var at = 0
      parts.foreach { part =>
        var k = part.starts(i)
        while (k < part.starts(i + 1)) {
          builder.add(i, at + part.columns(k), part.values(k))
          k += 1
        }
        at += part.cols
      }
      i += 1
    }
    builder.result
  }
}

/** `rbind`: operands under one another. */
object RBind extends BlockOp {
  val name = "rbind"
  def compile(site: OpSite): Kernel = new RBindKernel
}

final class RBindKernel extends MoveKernel {
  def move: Move = Move.Stack

  def whole(operands: Array[Block]): Block = {
    val out = DenseBlock.zeros(operands.map(_.rows).sum, operands(0).cols)
    var at = 0
    operands.map(_.dense).foreach { block =>
      System.arraycopy(block.values, 0, out.values, at, block.values.length)
      at += block.values.length
    }
    out
  }
}

/** `selectRows`: the rows of X where the column `mask` is not zero, in order. */
object SelectRows extends BlockOp {
  val name = "selectRows"
  def compile(site: OpSite): Kernel = new SelectRowsKernel(site.out.rows)

  /** Rows where the mask is not zero; NaN is not zero. */
  def selected(mask: Block): Array[Int] = {
    val values = mask.dense.values
    values.indices.filter(i => values(i) != 0).toArray
  }

  def take(block: Block, rows: Array[Int]): Block = block.sparse match {
    case Some(sparse) =>
      val builder = new SparseBuilder(rows.length, sparse.cols, sparse.nonZeros)
      rows.indices.foreach { i =>
        var k = sparse.starts(rows(i))
        while (k < sparse.starts(rows(i) + 1)) {
          builder.add(i, sparse.columns(k), sparse.values(k))
          k += 1
        }
      }
      builder.result
    case None =>
      val in = block.plain
      val out = WholeBlock.zeros(rows.length, in.cols, in.isSingle)
      rows.indices.foreach(i => System.arraycopy(in.cells, rows(i) * in.cols, out.cells, i * in.cols, in.cols))
      out
  }

  def check(found: Long, expected: Long): Unit =
    if (found != expected) {
      throw ShimError.data(
        s"selectRows: expected $expected rows where the mask is not zero, got $found; give the number of rows it selects")
    }
}

final class SelectRowsKernel(rows: Long) extends MoveKernel {
  def move: Move = Move.Select(rows)

  def whole(operands: Array[Block]): Block = {
    val chosen = SelectRows.selected(operands(1))
    SelectRows.check(chosen.length, rows)
    SelectRows.take(operands(0), chosen)
  }
}

/** `transpose`, of whole operands: what is small enough to be on the driver. */
object Transpose extends BlockOp {
  val name = "transpose"
  def compile(site: OpSite): Kernel = new TransposeKernel
}

final class TransposeKernel extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = {
    val in = operands(0).dense
    val out = DenseBlock.zeros(in.cols, in.rows)
    var i = 0
    while (i < in.rows) {
      var j = 0
      while (j < in.cols) {
        out.values(j * in.rows + i) = in.values(i * in.cols + j)
        j += 1
      }
      i += 1
    }
    out
  }
}

/** `repeatCols`: each run of `width` columns, `times` times side by side. */
object RepeatCols extends BlockOp {
  val name = "repeatCols"
  def compile(site: OpSite): Kernel = new RepeatColsKernel(site.attrs.get("width").asInt, site.attrs.get("times").asInt)
}

final class RepeatColsKernel(width: Int, times: Int) extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = {
    val in = operands(0).plain
    val out = WholeBlock.zeros(in.rows, in.cols * times, in.isSingle)
    var at = 0
    var from = 0
    while (from < in.rows * in.cols) {
      var t = 0
      while (t < times) {
        System.arraycopy(in.cells, from, out.cells, at, width)
        at += width
        t += 1
      }
      from += width
    }
    out
  }
}
