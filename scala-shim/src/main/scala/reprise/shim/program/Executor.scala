package reprise.shim.program

import scala.collection.mutable

import reprise.shim.ShimContext
import reprise.shim.block.{Block, WholeBlock}
import reprise.shim.ops._
import reprise.shim.protocol.{Payload, ShimError}

/** What a program answers, outputs in the order asked for. */
final case class Outcome(
    outputs: IndexedSeq[WholeBlock],
    /** Results over parts, by reduction. */
    parts: Seq[(Int, Seq[WholeBlock])],
    persisted: Map[String, Held],
    kernels: Int,
    passes: Int,
    /** Held values it read of which Spark had to compute some partitions. */
    incomplete: Seq[String])

/**
 * Runs one program. Values are of two kinds: whole ones on the driver, and blocked ones that exist
 * only chunk by chunk in a pass. Stages alternate: whole instructions whose operands are there run
 * here; then all reductions, kept and collected values that are ready run, one Spark job for
 * everything that reads the same rows, such jobs at once. Invariant: on failure nothing that was
 * persisted or broadcast stays behind.
 */
final class Executor(context: ShimContext, program: Program, payload: Int => Payload) {
  private val values = new ProgramValues(context, program, payload)
  private val persisted = mutable.LinkedHashMap[String, Held]()
  private var kernels = 0
  private var passes = 0

  def run(): Outcome =
    try {
      var pending = values.targets
      var whole = program.instructions.filterNot(values.isBlocked)
      while (pending.nonEmpty || whole.nonEmpty) {
        if (context.runs.isCancelled(program.run)) {
          throw new ShimError("cancelled", "spark: expected the run to end, got a cancellation")
        }
        val before = pending.size + whole.size
        whole = whole.filterNot(runWhole)
        val (ready, waiting) = pending.partition(values.isReady)
        pending = waiting
        runPasses(components(ready))
        if (pending.size + whole.size == before) {
          throw ShimError.internal("program: expected an instruction that can run, got none")
        }
      }
      val read = values.read
      read.values.foreach(_.owner.noteJob())
      // Registered before the program's own shares end, so that nothing is dropped in between.
      persisted.foreach { case (handle, held) => context.registry.put(handle, held) }
      values.publish()
      Outcome(
        program.outputs.map(id => values.host(id).plain), values.parts.toSeq, persisted.toMap, kernels, passes,
        values.missing.toSeq)
    } catch {
      case error: Throwable =>
        throw LostValue.named(error, values.read)
    } finally {
      persisted.values.map(_.owner).toSet.foreach((owner: PersistedRdd) => owner.release())
      values.close()
    }

  private def runWhole(instruction: Instruction): Boolean = {
    val isReady = instruction.operands.forall(operand => values.host.contains(operand.id))
    if (isReady) {
      val operands: Array[Block] = instruction.operands.map(operand => DenseOnce.of(values.host(operand.id))).toArray
      val result = values.kernel(instruction) match {
        case source: SourceKernel => source.block(0, instruction.shape.rows.toInt)
        case map: MapKernel => map(operands, 0)
        case reduce: ReduceKernel =>
          val accumulator = reduce.start()
          accumulator.add(operands, 0)
          reduce.finish(accumulator.value)
        case move: MoveKernel => move.whole(operands)
      }
      values.host(instruction.id) = WholeBlock.of(result, instruction.shape.isSingle)
      kernels += 1
    }
    isReady
  }

  /** Targets that read the same rows, by the leaves below them. */
  private def components(ready: Seq[Target]): Seq[Seq[Target]] = {
    val groups = mutable.ArrayBuffer[(mutable.Set[String], mutable.ArrayBuffer[Target])]()
    ready.foreach { target =>
      val leaves = values.dataLeaves(target)
      val (joined, apart) = groups.partition { case (keys, _) => keys.exists(leaves) }
      val keys = mutable.Set(leaves.toSeq: _*)
      val members = mutable.ArrayBuffer[Target]()
      joined.foreach { case (otherKeys, others) =>
        keys ++= otherKeys
        members ++= others
      }
      members += target
      groups.clear()
      groups ++= apart
      groups += ((keys, members))
    }
    groups.map(_._2.toSeq).toSeq
  }

  /** Passes over unlike data run at once, so that the last tasks of one leave no cores idle. */
  private def runPasses(groups: Seq[Seq[Target]]): Unit = {
    val all = groups.map(targets => new Pass(context, values, targets))
    val results = Concurrently(context, program.run, all.map(pass => () => pass.run()))
    all.zip(results).foreach { case (pass, result) =>
      kernels += pass.kernels
      result.foreach(keep)
    }
    // They read unlike data (the files of a data set, say), each of them once: one pass over all of
    // it.
    if (all.nonEmpty) passes += 1
    results.collectFirst { case Left(error) => throw error }
  }

  private def keep(result: PassResult): Unit = {
    result.whole.foreach { case (id, value) => values.host(id) = value }
    values.parts ++= result.parts
    result.kept.foreach { case (id, held) =>
      persisted(program.persist(id).handle) = held
      values.held(id) = held
    }
  }
}

/** Something a pass is run for. */
sealed trait Target { def id: Int }
object Target {
  /** A reduction over blocks. */
  final case class Reduce(id: Int) extends Target
  /** A blocked value brought whole to the driver. */
  final case class Gather(id: Int) extends Target
  /** A blocked value kept in the cluster. */
  final case class Keep(id: Int) extends Target
}
