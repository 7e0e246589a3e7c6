package reprise.shim.verbs

import com.fasterxml.jackson.databind.JsonNode

import org.apache.spark.reprise.Executors

import reprise.shim.ShimContext
import reprise.shim.program.{Executor, Program}
import reprise.shim.protocol.{CellsPayload, Json, Payload, Reply, ShimError}

/** Runs a program; handles it asks to keep exist only once all of it went well. */
object RunProgram extends VerbHandler {
  val name = "runProgram"

  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val program = Program.parse(args)
    def payload(index: Int): Payload =
      if (payloads.indices.contains(index)) payloads(index)
      else throw ShimError.internal(s"program: expected payload $index, got ${payloads.length} payloads")
    val (outcome, jobs) = context.runs.track(program.run) {
      new Executor(context, program, payload).run()
    }
    Reply(
      Json.obj(
        "outputs" -> Json.arr(outcome.outputs.map { block =>
          Json.obj("rows" -> Json.int(block.rows), "cols" -> Json.int(block.cols))
        }),
        "parts" -> Json.arr(outcome.parts.map { case (id, _) => Json.int(id) }),
        "persisted" -> Json.arr(outcome.persisted.toSeq.map { case (handle, held) => HeldJson(handle, held) }),
        "incomplete" -> Json.arr(outcome.incomplete.map(Json.str)),
        "kernels" -> Json.int(outcome.kernels),
        "passes" -> Json.int(outcome.passes),
        "sparkJobs" -> Json.int(jobs),
        "slots" -> Json.int(context.actions.limit),
        "executors" -> Json.arr(Executors.of(context.spark).map(it => Json.str(it.executorId)))),
      (outcome.outputs ++ outcome.parts.flatMap(_._2)).map(block => new CellsPayload(block.cells)))
  }
}
