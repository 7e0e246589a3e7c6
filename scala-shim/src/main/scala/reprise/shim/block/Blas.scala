package reprise.shim.block

import dev.ludovic.netlib.blas.{BLAS, JavaBLAS}

/**
 * The BLAS of the block kernels: native where one came along or `libblas.so.3` can be loaded, else
 * Java. All matrices here are row-major; a row-major matrix is the transpose of the column-major
 * one over the same cells, which is how the calls below read: `C = A B` row-major is `C' = B' A'`
 * column-major. 32-bit indices.
 */
object Blas {
  @transient lazy val blas: BLAS =
    try {
      ShippedBlas.prefer()
      BLAS.getInstance()
    } catch { case _: Throwable => JavaBLAS.getInstance() }

  def isNative: Boolean = blas.getClass.getSimpleName.startsWith("JNI")

  /** c (n x n) += A'A for `rows` rows of A at `offset`; touches one triangle only: see `mirror`. */
  def addGram(a: Array[Double], offset: Int, rows: Int, n: Int, c: Array[Double], cOffset: Int): Unit =
    if (rows > 0 && n > 0) blas.dsyrk("U", "N", n, rows, 1.0, a, offset, n, 1.0, c, cOffset, n)

  /** The same of rows that are kept column by column, `stride` cells from one to the next. */
  def addGramOfColumns(
      a: Array[Double], offset: Int, stride: Int, rows: Int, n: Int, c: Array[Double], cOffset: Int): Unit =
    if (rows > 0 && n > 0) blas.dsyrk("U", "T", n, rows, 1.0, a, offset, stride, 1.0, c, cOffset, n)

  /** Copies the triangle `addGram` filled to the other. Column-major upper is row-major lower. */
  def mirror(c: Array[Double], offset: Int, n: Int, stride: Int): Unit = {
    var i = 0
    while (i < n) {
      var j = 0
      while (j < i) {
        c(offset + j * stride + i) = c(offset + i * stride + j)
        j += 1
      }
      i += 1
    }
  }

  /** C (m x n, leading dim ldc) = alpha A (m x k, lda) B (k x n, ldb) + beta C, row-major. */
  def multiply(
      m: Int, n: Int, k: Int,
      a: Array[Double], aOffset: Int, lda: Int, transposeA: Boolean,
      b: Array[Double], bOffset: Int, ldb: Int, transposeB: Boolean,
      beta: Double,
      c: Array[Double], cOffset: Int, ldc: Int): Unit =
    if (m > 0 && n > 0) {
      if (k == 0) {
        if (beta == 0.0) for (i <- 0 until m) java.util.Arrays.fill(c, cOffset + i * ldc, cOffset + i * ldc + n, 0.0)
      } else {
        blas.dgemm(
          if (transposeB) "T" else "N", if (transposeA) "T" else "N",
          n, m, k, 1.0, b, bOffset, ldb, a, aOffset, lda, beta, c, cOffset, ldc)
      }
    }
}
