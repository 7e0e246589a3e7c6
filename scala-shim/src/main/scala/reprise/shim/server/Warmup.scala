package reprise.shim.server

import reprise.shim.ShimContext
import reprise.shim.block.Blas
import reprise.shim.frame.SqlDialect

/** Loads what the first program needs, beside the driver's own preparations. Failures are the first program's to report. */
object Warmup {
  def run(context: ShimContext): Unit =
    try {
      val a = Array.fill(64 * 64)(1.0)
      Blas.addGram(a, 0, 64, 64, new Array[Double](64 * 64), 0)
      SqlDialect.parse(context.session, "a + 1")
    } catch {
      case _: Throwable =>
    }
}
