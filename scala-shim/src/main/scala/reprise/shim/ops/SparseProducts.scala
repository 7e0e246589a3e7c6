package reprise.shim.ops

import reprise.shim.block.{DenseBlock, SparseBlock}

/** Products that skip zeros of compressed rows; every cell they meet must be finite. Row-major. */
object SparseProducts {

  /** The lower triangle of c (d x d) += A'A. */
  def addGram(a: SparseBlock, c: Array[Double]): Unit = {
    var i = 0
    while (i < a.rows) {
      val first = a.starts(i)
      var k = first
      while (k < a.starts(i + 1)) {
        val row = a.columns(k) * a.cols
        val value = a.values(k)
        var l = first
        while (l <= k) {
          c(row + a.columns(l)) += value * a.values(l)
          l += 1
        }
        k += 1
      }
      i += 1
    }
  }

  /** A B, or A B' where asked. */
  def multiply(a: SparseBlock, b: DenseBlock, transposeB: Boolean): DenseBlock = {
    val n = if (transposeB) b.rows else b.cols
    val out = DenseBlock.zeros(a.rows, n)
    a.foreach { (row, col, value) =>
      val at = row * n
      var j = 0
      if (transposeB) while (j < n) {
        out.values(at + j) += value * b.values(j * b.cols + col)
        j += 1
      }
      else while (j < n) {
        out.values(at + j) += value * b.values(col * n + j)
        j += 1
      }
    }
    out
  }

  /** c += A'B over the rows of a block. */
  def addTransposed(a: SparseBlock, b: DenseBlock, c: Array[Double]): Unit = {
    val n = b.cols
    a.foreach { (row, col, value) =>
      var j = 0
      while (j < n) {
        c(col * n + j) += value * b.values(row * n + j)
        j += 1
      }
    }
  }

  /** c += A'B over the rows of a block. */
  def addTransposed(a: DenseBlock, b: SparseBlock, c: Array[Double]): Unit = {
    val n = b.cols
    b.foreach { (row, col, value) =>
      var i = 0
      while (i < a.cols) {
        c(i * n + col) += a.values(row * a.cols + i) * value
        i += 1
      }
    }
  }
}
