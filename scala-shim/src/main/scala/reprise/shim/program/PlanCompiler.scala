package reprise.shim.program

import scala.collection.mutable

import org.apache.spark.broadcast.Broadcast

import reprise.shim.ShimContext
import reprise.shim.block.Block
import reprise.shim.ops._

/**
 * A plan with the broadcast made for it, which whoever compiled it destroys, and those it shares
 * with other programs.
 */
final class Compiled(
    context: ShimContext, val plan: BlockPlan, val broadcast: Broadcast[Array[Block]],
    val shared: Seq[SharedBroadcast]) {
  def destroy(): Unit = context.broadcasts.destroy(broadcast)
}

/** Turns instructions into plan steps over chunks whose slots hold the values in `slots`. */
final class PlanCompiler(context: ShimContext, values: ProgramValues) {

  /** Keeps these values, in this order. */
  def keep(slots: Map[Int, Int], ids: Seq[Int]): Compiled = {
    val steps = new Steps(slots)
    ids.foreach(steps.visit)
    finish(steps, Array.empty, Array.empty, ids.map(steps.blockedRef).toArray)
  }

  /** Folds the reductions and gathers the blocked values. */
  def fold(slots: Map[Int, Int], reductions: Seq[Instruction], gathers: Seq[Int]): Compiled = {
    val steps = new Steps(slots)
    reductions.foreach(_.operands.filter(_.blocked).foreach(operand => steps.visit(operand.id)))
    gathers.foreach(steps.visit)
    val sinks = reductions.map { instruction =>
      Sink(
        values.kernel(instruction).asInstanceOf[ReduceKernel], instruction.operands.map(steps.ref).toArray,
        values.ends(instruction.id))
    }
    finish(steps, sinks.toArray, gathers.map(steps.blockedRef).toArray, Array.empty)
  }

  private def finish(steps: Steps, sinks: Array[Sink], gathers: Array[Ref], kept: Array[Ref]): Compiled = {
    val broadcast = context.broadcasts.make(steps.ownValues)
    val host = new HostValues(broadcast, steps.shared.map(_.value).toArray)
    val plan = new BlockPlan(steps.all.toArray, sinks, gathers, kept, host, PlanCompiler.pieceRows(steps.widest))
    new Compiled(context, plan, broadcast, steps.shared)
  }

  private final class Steps(slots: Map[Int, Int]) {
    private val ownIndex = mutable.LinkedHashMap[Int, Int]()
    private val sharedIndex = mutable.LinkedHashMap[Int, Int]()
    private val stepIndex = mutable.Map[Int, Int]()
    val all: mutable.ArrayBuffer[Step] = mutable.ArrayBuffer[Step]()
    /** Columns of the widest result of a step. */
    var widest = 1

    // By iterators: what `keys.map` builds is a set, which loses the order beyond four elements.
    def ownValues: Array[Block] = ownIndex.keysIterator.map(values.host).toArray

    def shared: Seq[SharedBroadcast] = sharedIndex.keysIterator.map(values.shared).toVector

    def blockedRef(id: Int): Ref = ref(Operand(id, blocked = true))

    def ref(operand: Operand): Ref =
      if (slots.contains(operand.id) && operand.blocked) Ref.Slot(slots(operand.id))
      else if (stepIndex.contains(operand.id) && operand.blocked) Ref.Step(stepIndex(operand.id))
      else if (operand.blocked) Ref.Rows(hostRef(operand.id))
      else Ref.Whole(hostRef(operand.id))

    /** Adds the steps a blocked value needs; values of slots and of the driver need none. */
    def visit(id: Int): Unit =
      if (!slots.contains(id) && !stepIndex.contains(id) && !values.host.contains(id)) {
        values.instructions.get(id).foreach { instruction =>
          instruction.operands.filter(_.blocked).foreach(operand => visit(operand.id))
          all += Step(values.kernel(instruction), instruction.operands.map(ref).toArray)
          stepIndex(id) = all.length - 1
          widest = math.max(widest, instruction.shape.cols)
        }
      }

    private def hostRef(id: Int): HostRef =
      if (values.shared.contains(id)) HostRef.Shared(sharedIndex.getOrElseUpdate(id, sharedIndex.size))
      else HostRef.Own(ownIndex.getOrElseUpdate(id, ownIndex.size))
  }
}

object PlanCompiler {
  /** Cells of a block of a step's result: 32 MB. Sources of up to 256 columns cut as usual. */
  val PieceCells: Int = 1 << 22
  val LeastRows = 16

  /** Rows that are worked on at once when values so wide are made of them. */
  def pieceRows(cols: Int): Int = math.max(LeastRows, PieceCells / math.max(1, cols))
}
