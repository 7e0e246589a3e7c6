package reprise.shim.program

import scala.collection.mutable

import reprise.shim.ShimContext
import reprise.shim.block.DenseBlock
import reprise.shim.frame.FrameSource
import reprise.shim.ops._
import reprise.shim.protocol.Json._
import reprise.shim.protocol.ShimError

/** The values of a program while it runs: which are on the driver, which are held, and which are made by blocks. */
final class ProgramValues(context: ShimContext, program: Program, payload: Int => Array[Double]) {
  val host: mutable.Map[Int, DenseBlock] = mutable.Map()
  val held: mutable.Map[Int, Held] = mutable.Map()
  val instructions: Map[Int, Instruction] = program.instructions.map(i => i.id -> i).toMap
  private val kernels = mutable.Map[Int, Kernel]()
  private val shapes: Map[Int, Shape] =
    (program.inputs.map(i => i.id -> i.shape) ++ program.instructions.map(i => i.id -> i.shape)).toMap

  program.inputs.foreach { input =>
    (input.payload, input.handle) match {
      case (Some(index), _) =>
        host(input.id) = new DenseBlock(input.shape.rows.toInt, input.shape.cols, payload(index))
      case (None, Some(handle)) => open(input, handle)
      case _ => throw ShimError.internal(s"program: expected a payload or a handle for value ${input.id}")
    }
  }

  private def open(input: Input, handle: String): Unit =
    context.registry.get(handle) match {
      case Some(found) => held(input.id) = found
      case None =>
        val found = context.registry.getBroadcast(handle).getOrElse {
          throw new ShimError(
            "execution",
            s"program: expected the value `$handle` to be held by this shim, got none; it was released, or Spark was started anew",
            Map("handle" -> handle))
        }
        host(input.id) = found.value
    }

  def shape(id: Int): Shape = shapes(id)

  def isEncode(instruction: Instruction): Boolean = instruction.op == "encode"

  /** The kernel of an instruction, compiled once. */
  def kernel(instruction: Instruction): Kernel = kernels.getOrElseUpdate(
    instruction.id, {
      val op = BlockOps.byName.getOrElse(
        instruction.op,
        throw ShimError.unsupported(s"${instruction.op}: expected an operator the shim has, got `${instruction.op}`"))
      op.compile(
        OpSite(
          instruction.op, instruction.attrs, instruction.operands.map(operand => shape(operand.id)), instruction.shape))
    })

  private def isReduce(instruction: Instruction): Boolean =
    !isEncode(instruction) && kernel(instruction).isInstanceOf[ReduceKernel]

  /** Evaluated in a pass: everything over blocks, reductions included. */
  def isBlocked(instruction: Instruction): Boolean = instruction.blocked || isEncode(instruction)

  /** Exists chunk by chunk only. */
  def isBlockedValue(id: Int): Boolean =
    held.contains(id) || instructions.get(id).exists(i => isBlocked(i) && !isReduce(i))

  /** Everything passes are needed for. */
  def targets: Seq[Target] = {
    val neededWhole = program.outputs ++ program.instructions.flatMap(_.operands.filterNot(_.blocked).map(_.id))
    val reductions = program.instructions.filter(i => isBlocked(i) && isReduce(i)).map(i => Target.Reduce(i.id))
    val gathers = neededWhole.distinct.filter(isBlockedValue).map(id => Target.Gather(id))
    val kept = program.persist.keys.toSeq.sorted.map(id => Target.Keep(id))
    reductions ++ gathers ++ kept
  }

  /** Blocked instructions a target needs, inputs first, ending at held and whole values. */
  def chain(target: Target): Seq[Instruction] = {
    val order = mutable.LinkedHashMap[Int, Instruction]()
    def visit(id: Int): Unit =
      if (!held.contains(id) && !host.contains(id) && !order.contains(id)) {
        instructions.get(id).foreach { instruction =>
          instruction.operands.filter(_.blocked).foreach(operand => visit(operand.id))
          order(id) = instruction
        }
      }
    visit(target.id)
    order.values.toSeq
  }

  /** Every operand a pass takes whole is there, and so is every reduced value it takes by rows. */
  def isReady(target: Target): Boolean = {
    val nodes = chain(target)
    val inside = nodes.map(_.id).toSet
    nodes.forall { node =>
      node.operands.forall { operand =>
        if (operand.blocked) {
          host.contains(operand.id) || held.contains(operand.id) ||
          (inside(operand.id) && isBlockedValue(operand.id))
        } else host.contains(operand.id)
      }
    }
  }

  /** Names of the data below a target: equal names mean one pass. */
  def dataLeaves(target: Target): Set[String] = {
    val nodes = chain(target)
    val direct = nodes.flatMap(_.operands.filter(_.blocked).map(_.id)) :+ target.id
    val heldKeys = direct.filter(held.contains).map(id => s"rdd:${held(id).owner.rdd.id}")
    val frameKeys = nodes.filter(isEncode).map(node => s"frame:${source(node).key}")
    val keys = (heldKeys ++ frameKeys).toSet
    if (keys.nonEmpty) keys else Set(s"rows:${rowsOf(target)}")
  }

  /** Rows of the blocked operands of a target. */
  def rowsOf(target: Target): Long = target match {
    case Target.Reduce(id) =>
      val operand = instructions(id).operands.find(_.blocked).getOrElse {
        throw ShimError.internal(s"${instructions(id).op}: expected a blocked operand")
      }
      shape(operand.id).rows
    case other => shape(other.id).rows
  }

  def source(encode: Instruction): FrameSource = FrameSource.parse(encode.attrs.field("source"))
}
