package reprise.shim.server

import reprise.shim.ShimContext
import reprise.shim.frame.{SqlDialect, SqlText}
import reprise.shim.ops.Shape
import reprise.shim.program._
import reprise.shim.protocol.{CellsPayload, Json}

/**
 * Runs a small program before the first real one, beside the driver's own preparations: loading
 * Spark's scheduler, the native BLAS and the SQL parser takes a second or two. Failures are the
 * first program's to report.
 */
object Warmup {
  private val rows = 256
  private val cols = 8

  def run(context: ShimContext): Unit =
    try {
      context.withSession(SqlDialect.parse(SqlText("a + 1", "", isOwn = false)))
      val folds = Instruction(
        1, "kfold",
        Json.obj(
          "rows" -> Json.int(rows), "folds" -> Json.int(2), "shuffle" -> Json.bool(true), "seed" -> Json.int(1)),
        Vector.empty, Shape(rows, 1), blocked = true)
      val gram = Instruction(
        2, "groupGram", Json.obj("groups" -> Json.int(2), "center" -> Json.bool(true)),
        Vector(Operand(1, blocked = true), Operand(0, blocked = true)),
        Shape(2L * (cols + 1), cols + 1), blocked = true)
      val input = Input(0, Shape(rows, cols), Some(0), None)
      val program = Program("warmup", Vector(input), Vector(folds, gram), Vector(2), Map.empty)
      new Executor(context, program, _ => new CellsPayload(Array.tabulate(rows * cols)(i => math.sin(i)))).run()
    } catch {
      case _: Throwable =>
    }
}
