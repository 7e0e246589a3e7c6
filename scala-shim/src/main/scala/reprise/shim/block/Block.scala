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

  /** Every cell in one array: in single precision where they are kept so. */
  def plain: WholeBlock = dense

  /** The form it is kept in: the block itself, or what one that is expanded once is made of. */
  def compact: Block = this

  /** This block in compressed rows, where that is how it is kept. */
  def sparse: Option[SparseBlock] = None

  /** Rows `from until until` as a block of their own. */
  def sliceRows(from: Int, until: Int): Block = dense.sliceRows(from, until)

  /** Estimated bytes this block occupies. */
  def bytes: Long
}

/** A block with every cell in one array, row-major. */
sealed trait WholeBlock extends Block {
  /** `Array[Double]` or `Array[Float]`, of `rows * cols` cells. */
  def cells: AnyRef
  def cell(i: Int): Double
  def isSingle: Boolean
  override def plain: WholeBlock = this

  /** Takes over the rows of a block with cells of the same type, the first as row `row`. */
  def put(row: Int, piece: WholeBlock): Unit =
    System.arraycopy(piece.cells, 0, cells, row * cols, piece.rows * piece.cols)

  override def sliceRows(from: Int, until: Int): WholeBlock =
    if (from == 0 && until == rows) this
    else {
      val out = WholeBlock.zeros(until - from, cols, isSingle)
      System.arraycopy(cells, from * cols, out.cells, 0, out.rows * cols)
      out
    }
}

object WholeBlock {
  def apply(rows: Int, cols: Int, cells: AnyRef): WholeBlock = cells match {
    case values: Array[Float] => new SingleBlock(rows, cols, values)
    case values: Array[Double] => new DenseBlock(rows, cols, values)
  }

  def zeros(rows: Int, cols: Int, isSingle: Boolean): WholeBlock =
    if (isSingle) new SingleBlock(rows, cols, new Array[Float](DenseBlock.cells(rows, cols))) else DenseBlock.zeros(rows, cols)

  def of(block: Block, isSingle: Boolean): WholeBlock = if (isSingle) SingleBlock.of(block) else block.dense
}

/** Cells of float32: half the memory of a dense block. Kernels read `dense`, which is exact. */
final class SingleBlock(val rows: Int, val cols: Int, val values: Array[Float]) extends WholeBlock {
  require(values.length == rows.toLong * cols, s"block: expected ${rows}x$cols cells, got ${values.length}")

  def cells: AnyRef = values
  def cell(i: Int): Double = values(i).toDouble
  def isSingle: Boolean = true
  def bytes: Long = values.length.toLong * 4 + 32

  def dense: DenseBlock = {
    val out = new Array[Double](values.length)
    var i = 0
    while (i < out.length) {
      out(i) = values(i).toDouble
      i += 1
    }
    new DenseBlock(rows, cols, out)
  }

  def addRows(order: Array[Int], from: Int, until: Int, out: Array[Double], at: Int, stride: Int): Unit =
    dense.addRows(order, from, until, out, at, stride)
}

object SingleBlock {
  /** The cells, each rounded to the nearest. */
  def of(block: Block): SingleBlock = block.plain match {
    case single: SingleBlock => single
    case wide: DenseBlock =>
      val out = new Array[Float](wide.values.length)
      var i = 0
      while (i < out.length) {
        out(i) = wide.values(i).toFloat
        i += 1
      }
      new SingleBlock(wide.rows, wide.cols, out)
  }
}

/** Cells in row-major order; `values.length == rows * cols`. */
final class DenseBlock(val rows: Int, val cols: Int, val values: Array[Double]) extends WholeBlock {
  require(values.length == rows.toLong * cols, s"block: expected ${rows}x$cols cells, got ${values.length}")

  def dense: DenseBlock = this
  def cells: AnyRef = values
  def cell(i: Int): Double = values(i)
  def isSingle: Boolean = false
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
