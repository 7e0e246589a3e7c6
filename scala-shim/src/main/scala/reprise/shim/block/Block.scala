package reprise.shim.block

/** A block of rows of a matrix, in whatever form is cheapest to keep. Blocks are immutable. */
trait Block extends Serializable {
  def rows: Int
  def cols: Int

  /** The cells, row-major. A form other than dense makes them anew on each call. */
  def dense: DenseBlock

  /**
   * Adds the rows `order(from until until)` to `out`, one after the other, the first at `at`,
   * `stride` cells apart. Kernels gather rows this way without a dense copy of the block in
   * between.
   */
  def addRows(order: Array[Int], from: Int, until: Int, out: Array[Double], at: Int, stride: Int): Unit

  /** This block in compressed rows, where that is how it is kept. */
  def sparse: Option[SparseBlock] = None

  /** Rows `from until until` as a block of their own. */
  def sliceRows(from: Int, until: Int): Block = dense.sliceRows(from, until)

  /** Estimated bytes this block occupies. */
  def bytes: Long
}

/** Cells in row-major order; `values.length == rows * cols`. */
final class DenseBlock(val rows: Int, val cols: Int, val values: Array[Double]) extends Block {
  require(values.length == rows.toLong * cols, s"block: expected ${rows}x$cols cells, got ${values.length}")

  def dense: DenseBlock = this
  def bytes: Long = values.length.toLong * 8 + 32
  def apply(row: Int, col: Int): Double = values(row * cols + col)

  def addRows(order: Array[Int], from: Int, until: Int, out: Array[Double], at: Int, stride: Int): Unit = {
    var target = at
    var i = from
    while (i < until) {
      val source = order(i) * cols
      var j = 0
      while (j < cols) {
        out(target + j) += values(source + j)
        j += 1
      }
      target += stride
      i += 1
    }
  }

  override def sliceRows(from: Int, until: Int): DenseBlock =
    if (from == 0 && until == rows) this
    else new DenseBlock(until - from, cols, java.util.Arrays.copyOfRange(values, from * cols, until * cols))
}

object DenseBlock {
  def zeros(rows: Int, cols: Int): DenseBlock = new DenseBlock(rows, cols, new Array[Double](cells(rows, cols)))

  def scalar(value: Double): DenseBlock = new DenseBlock(1, 1, Array(value))

  /** Cells of a whole matrix; refused when one JVM array cannot hold them. */
  def cells(rows: Long, cols: Long): Int = {
    val count = rows * cols
    if (rows < 0 || cols < 0 || (cols > 0 && count / cols != rows) || count > Int.MaxValue - 16) {
      throw new reprise.shim.protocol.ShimError(
        "resource",
        s"block: expected at most ${Int.MaxValue - 16} cells in one piece, got ${rows}x$cols; keep it as row blocks",
        Map("resource" -> "heap"))
    }
    count.toInt
  }
}

/** Consecutive rows of some matrices, with blocks in `slots`; the element of every RDD here. */
final class Chunk(val startRow: Long, val rows: Int, val slots: Array[Block]) extends Serializable {
  /** The same rows in chunks of at most so many. */
  def pieces(most: Int): Iterator[Chunk] =
    if (rows <= most) Iterator.single(this)
    else
      Iterator.range(0, rows, most).map { from =>
        val until = math.min(rows, from + most)
        new Chunk(startRow + from, until - from, slots.map(_.sliceRows(from, until)))
      }
}
