package reprise.shim.program

import com.fasterxml.jackson.databind.JsonNode
import org.apache.spark.storage.StorageLevel

import reprise.shim.ops.Shape
import reprise.shim.protocol.Json._
import reprise.shim.protocol.ShimError

final case class Operand(id: Int, blocked: Boolean)

final case class Instruction(
    id: Int, op: String, attrs: JsonNode, operands: IndexedSeq[Operand], shape: Shape, blocked: Boolean)

/**
 * A value from outside: a payload, a held value, or both: a payload to broadcast as the handle.
 * @param nonZeros of a payload in compressed rows: the cells it holds
 */
final case class Input(
    id: Int, shape: Shape, payload: Option[Int], handle: Option[String], nonZeros: Option[Int] = None)

/** How a value is kept: its level, and now or, if `isLazy`, with the first job to read it. */
final case class Keep(handle: String, level: StorageLevel, isLazy: Boolean)

/** A list of instructions in single assignment form; field names as `WireProgram` in `wire.ts`. */
final case class Program(
    run: String,
    inputs: IndexedSeq[Input],
    instructions: IndexedSeq[Instruction],
    outputs: IndexedSeq[Int],
    persist: Map[Int, Keep],
    /** Where parts of the rows end whose results are wanted too, by reduction. */
    parts: Map[Int, Array[Long]] = Map.empty)

object Program {
  def parse(args: JsonNode): Program = {
    val program = Program(
      args.text("run"),
      args.items("inputs").map { node =>
        Input(
          node.integer("id"), shape(node), node.integerOption("payload"), node.textOption("handle"),
          node.integerOption("nnz"))
      }.toIndexedSeq,
      args.items("instructions").map { node =>
        Instruction(
          node.integer("id"),
          node.text("op"),
          node.field("attrs"),
          node.items("operands").map(o => Operand(o.integer("id"), o.flag("blocked"))).toIndexedSeq,
          shape(node),
          node.flag("blocked"))
      }.toIndexedSeq,
      args.items("outputs").map(_.intValue).toIndexedSeq,
      args.items("persist").map(node => node.integer("id") -> keep(node)).toMap,
      Option(args.get("parts")).toSeq.flatMap(_ => args.items("parts"))
        .map(node => node.integer("id") -> node.items("ends").map(_.longValue).toArray).toMap)
    check(program)
    program
  }

  private def keep(node: JsonNode): Keep = Keep(
    node.text("handle"),
    node.textOption("level").map(StorageLevel.fromString).getOrElse(StorageLevel.MEMORY_AND_DISK),
    Option(node.get("lazy")).exists(_.asBoolean))

  def shape(node: JsonNode): Shape = Shape(node.long("rows"), node.integer("cols"), isSingle(node))

  def isSingle(node: JsonNode): Boolean = node.textOption("dtype").contains("float32")

  private def check(program: Program): Unit = {
    val known = scala.collection.mutable.Set[Int]()
    def define(id: Int): Unit =
      if (!known.add(id)) throw ShimError.internal(s"program: expected value $id to be assigned once")
    program.inputs.foreach(input => define(input.id))
    program.instructions.foreach { instruction =>
      instruction.operands.foreach { operand =>
        if (!known(operand.id)) {
          throw ShimError.internal(s"program: expected value ${operand.id} before `${instruction.op}` uses it")
        }
      }
      define(instruction.id)
    }
    (program.outputs ++ program.persist.keys).foreach { id =>
      if (!known(id)) throw ShimError.internal(s"program: expected a value $id to return or keep")
    }
  }
}
