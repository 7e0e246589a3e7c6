package reprise.shim.program

import scala.collection.concurrent.TrieMap
import scala.collection.mutable

import reprise.shim.ShimContext
import reprise.shim.block.{Block, WholeBlock}
import reprise.shim.frame.FrameSource
import reprise.shim.ops._
import reprise.shim.protocol.Json._
import reprise.shim.protocol.{Payload, ShimError}

/** The values of a running program: those on the driver, those held, those made by blocks. */
final class ProgramValues(context: ShimContext, program: Program, payload: Int => Payload) {
  val host: mutable.Map[Int, Block] = mutable.Map()
  val held: mutable.Map[Int, Held] = mutable.Map()
  /** Results of reductions over parts of their rows, in order. */
  val parts: mutable.Map[Int, Seq[WholeBlock]] = mutable.Map()
  /** Those of `host` that are broadcast already. */
  val shared: mutable.Map[Int, SharedBroadcast] = mutable.Map()
  /** Broadcasts to register when the program has gone well; this program's share is theirs. */
  private val fresh = mutable.Map[String, SharedBroadcast]()
  private val epoch = context.epochs.enter()
  /** Handles of which Spark has to compute some partitions for this program. */
  val missing = mutable.SortedSet[String]()
  private val leases = mutable.ArrayBuffer[PersistedRdd]()
  val instructions: Map[Int, Instruction] = program.instructions.map(i => i.id -> i).toMap
  /** Passes that run at the same time compile from it. */
  private val kernels = TrieMap[Int, Kernel]()
  private val shapes: Map[Int, Shape] =
    (program.inputs.map(i => i.id -> i.shape) ++ program.instructions.map(i => i.id -> i.shape)).toMap

  try program.inputs.foreach(start)
  catch {
    case error: Throwable =>
      close()
      throw error
  }

  private def start(input: Input): Unit =
    (input.payload, input.handle) match {
      case (Some(index), keepAs) =>
        val block = payload(index).block(input.shape, input.nonZeros)
        host(input.id) = block
        keepAs.foreach { handle =>
          val made = new SharedBroadcast(context.broadcasts, context.broadcasts.make(block))
          fresh(handle) = made
          shared(input.id) = made
        }
      case (None, Some(handle)) => open(input, handle)
      case _ => throw ShimError.internal(s"program: expected a payload or a handle for value ${input.id}")
    }

  private def open(input: Input, handle: String): Unit =
    context.registry.lease(handle) match {
      case Some(found) =>
        leases += found.owner
        held(input.id) = found
        if (!found.owner.isComplete) missing += handle
      case None =>
        val found = context.registry.leaseBroadcast(handle).getOrElse {
          throw new ShimError(
            "execution",
            s"program: expected the value `$handle` to be held by this shim, got none; it was released, or Spark was started anew",
            Map("handle" -> handle))
        }
        shared(input.id) = found
        host(input.id) = found.value.value
    }

  /** Held values the program read, by their handles. */
  def read: Map[String, Held] =
    program.inputs.flatMap(input => input.handle.flatMap(handle => held.get(input.id).map(handle -> _))).toMap

  /** Registers what the program broadcast for later. */
  def publish(): Unit = {
    fresh.foreach { case (handle, made) =>
      made.acquire()
      context.registry.putBroadcast(handle, made)
    }
  }

  /** Ends the program's use of what the driver holds. */
  def close(): Unit = {
    leases.foreach(_.release())
    leases.clear()
    shared.values.foreach(_.release())
    shared.clear()
    context.epochs.exit(epoch)
  }

  def shape(id: Int): Shape = shapes(id)

  /** How a value that is to stay in the cluster is kept. */
  def keep(id: Int): Keep = program.persist(id)

  /** Where the parts of a reduction's rows end; empty where only the whole is wanted. */
  def ends(id: Int): Array[Long] = program.parts.getOrElse(id, Array.empty)

  def isEncode(instruction: Instruction): Boolean = instruction.op == "encode"

  /** The kernel of an instruction, compiled once. */
  def kernel(instruction: Instruction): Kernel = kernels.getOrElseUpdate(
    instruction.id, {
      val op = BlockOps.byName.getOrElse(
        instruction.op,
        throw ShimError.unsupported(s"${instruction.op}: expected an operator the shim has, got `${instruction.op}`"))
      val kernel = op.compile(
        OpSite(
          instruction.op, instruction.attrs, instruction.operands.map(operand => shape(operand.id)), instruction.shape))
      if (instruction.shape.isSingle) Rounded(kernel) else kernel
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

  /** A blocked value whose rows were moved: data like any other to the pass that reads it. */
  def moveOf(id: Int): Option[(Instruction, Move)] =
    if (held.contains(id) || host.contains(id)) None
    else
      instructions.get(id).filter(instruction => instruction.blocked && !isEncode(instruction)).flatMap { instruction =>
        kernel(instruction) match {
          case moving: MoveKernel => Some((instruction, moving.move))
          case _ => None
        }
      }

  /** Blocked instructions a pass needs for these, inputs first, from held, whole, moved values. */
  def chain(ids: Iterable[Int]): Seq[Instruction] = walk(ids, acrossMoves = false)

  def chain(target: Target): Seq[Instruction] = chain(Seq(target.id))

  /** As `chain`, with the moved values and what they are made of. */
  def wholeChain(target: Target): Seq[Instruction] = walk(Seq(target.id), acrossMoves = true)

  /** What the rows of these targets come from, moved or not. */
  def ownersBelow(targets: Seq[Target]): Seq[PersistedRdd] = {
    val read = targets.flatMap(target => target.id +: wholeChain(target).flatMap(_.operands.filter(_.blocked).map(_.id)))
    read.distinct.flatMap(held.get).map(_.owner).distinct
  }

  private def walk(ids: Iterable[Int], acrossMoves: Boolean): Seq[Instruction] = {
    val order = mutable.LinkedHashMap[Int, Instruction]()
    def visit(id: Int): Unit =
      if (!held.contains(id) && !host.contains(id) && !order.contains(id) && (acrossMoves || moveOf(id).isEmpty)) {
        instructions.get(id).foreach { instruction =>
          instruction.operands.filter(_.blocked).foreach(operand => visit(operand.id))
          order(id) = instruction
        }
      }
    ids.foreach(visit)
    order.values.toSeq
  }

  /** Every operand a pass takes whole is there, and so is every reduced value it takes by rows. */
  def isReady(target: Target): Boolean = {
    val nodes = wholeChain(target)
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
    val keys = leavesOf(Seq(target.id))
    if (keys.nonEmpty) keys else Set(s"rows:${rowsOf(target)}")
  }

  private def leavesOf(ids: Seq[Int]): Set[String] = {
    val nodes = chain(ids)
    val direct = nodes.flatMap(_.operands.filter(_.blocked).map(_.id)) ++ ids
    val heldKeys = direct.filter(held.contains).map(id => s"rdd:${held(id).owner.rdd.id}")
    val frameKeys = nodes.filter(isEncode).map(node => s"frame:${source(node).key}")
    val movedKeys = direct.distinct.flatMap(id => moveOf(id).map { case (instruction, move) => moveKey(instruction, move) })
    (heldKeys ++ frameKeys ++ movedKeys).toSet
  }

  /** Values whose rows move alike from the same data have equal keys, and are moved together. */
  def moveKey(instruction: Instruction, move: Move): String = {
    def below(operand: Operand): String = {
      val leaves = leavesOf(Seq(operand.id))
      if (leaves.isEmpty) s"rows:${shape(operand.id).rows}" else leaves.toSeq.sorted.mkString("+")
    }
    val how = move match {
      case Move.Cut(from, until, _) => s"cut $from $until"
      case Move.Stack => "stack " + instruction.operands.map(operand => shape(operand.id).rows).mkString(" ")
      case Move.Select(_) => s"select ${instruction.operands(1).id}"
    }
    s"$how of (${instruction.operands.map(below).mkString(", ")})"
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
