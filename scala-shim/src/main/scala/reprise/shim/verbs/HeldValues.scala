package reprise.shim.verbs

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.ObjectNode

import reprise.shim.ShimContext
import reprise.shim.block.WholeBlock
import reprise.shim.program._
import reprise.shim.protocol.{CellsPayload, Json, Payload, Reply, ShimError}
import reprise.shim.protocol.Json._

object HeldJson {
  def apply(handle: String, held: Held): ObjectNode = apply(handle, held.shape.rows, held.shape.cols, held.bytes)

  def apply(handle: String, rows: Long, cols: Int, bytes: Long): ObjectNode = Json.obj(
    "handle" -> Json.str(handle),
    "rows" -> Json.int(rows),
    "cols" -> Json.int(cols),
    "bytes" -> Json.int(bytes))
}

/** Brings a held value to the driver. */
object Collect extends VerbHandler {
  val name = "collect"

  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val handle = args.text("handle")
    val block = context.registry.getBroadcast(handle).map(_.value.value.plain).getOrElse {
      val held = HeldValue.of(context, handle)
      val input = Input(0, held.shape, None, Some(handle))
      val program = Program(args.text("run"), Vector(input), Vector.empty, Vector(0), Map.empty)
      context.runs.track(program.run)(new Executor(context, program, payloads).run())._1.outputs.head
    }
    Reply(
      Json.obj("rows" -> Json.int(block.rows), "cols" -> Json.int(block.cols)),
      Vector(new CellsPayload(block.cells)))
  }
}

object HeldValue {
  def of(context: ShimContext, handle: String): Held =
    context.registry.get(handle).getOrElse(missing(handle))

  def missing(handle: String): Nothing =
    throw new ShimError(
      "execution",
      s"shim: expected the value `$handle` to be held, got none; it was released, or Spark was started anew",
      Map("handle" -> handle))
}

/** Computes a held value in the cluster now, so that later reads find it there. */
object Persist extends VerbHandler {
  val name = "persist"

  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val handle = args.text("handle")
    val held = context.registry.lease(handle).getOrElse(HeldValue.missing(handle))
    val epoch = context.epochs.enter()
    try {
      val (_, jobs) = context.runs.track(args.text("run")) {
        try held.owner.rdd.count()
        catch { case error: Throwable => throw LostValue.named(error, Map(handle -> held)) }
      }
      held.owner.noteJob()
      val reply = HeldJson(handle, held)
      reply.set[JsonNode]("materialised", Json.bool(held.owner.isComplete))
      reply.set[JsonNode]("sparkJobs", Json.int(jobs))
      Reply(reply)
    } finally {
      held.owner.release()
      context.epochs.exit(epoch)
    }
  }
}

/** Drops held values; does not wait for the cluster. */
object Unpersist extends VerbHandler {
  val name = "unpersist"

  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val dropped = args.items("handles").count(node => context.registry.drop(node.asText))
    Reply(Json.obj("dropped" -> Json.int(dropped)))
  }
}

/** Broadcasts a matrix that programs use whole. */
object MakeBroadcast extends VerbHandler {
  val name = "broadcast"

  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val shape = Program.shape(args)
    val block = payloads(0).block(shape, args.integerOption("nnz"))
    val made = new SharedBroadcast(context.broadcasts, context.broadcasts.make(block))
    context.registry.putBroadcast(args.text("handle"), made)
    Reply(HeldJson(args.text("handle"), block.rows.toLong, block.cols, block.bytes))
  }
}

object DestroyBroadcast extends VerbHandler {
  val name = "destroyBroadcast"

  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val dropped = args.items("handles").count(node => context.registry.dropBroadcast(node.asText))
    Reply(Json.obj("dropped" -> Json.int(dropped)))
  }
}
