package reprise.shim.program

import scala.collection.mutable

import org.apache.spark.{TaskContext}
import org.apache.spark.rdd.RDD
import org.apache.spark.storage.StorageLevel

import reprise.shim.ShimContext
import reprise.shim.block.{Chunk, DenseBlock}
import reprise.shim.frame.Feature
import reprise.shim.ops._
import reprise.shim.protocol.Json._
import reprise.shim.protocol.ShimError

final case class PassResult(whole: Map[Int, DenseBlock], kept: Map[Int, Held])

/**
 * One Spark job: reads the rows its targets share once, evaluates their instructions chunk by chunk, folds the
 * reductions, and keeps or collects what was asked for.
 */
final class Pass(context: ShimContext, values: ProgramValues, targets: Seq[Target]) {
  private val nodes: Seq[Instruction] = targets.flatMap(values.chain).distinct
  private val inside: Set[Int] = nodes.map(_.id).toSet
  private val rows: Long = values.rowsOf(targets.head)
  private val rowSource = new RowSource(context, values, rows)

  /** Kernels this pass runs; one run block by block counts once. */
  def kernels: Int = nodes.length

  def run(): PassResult = {
    val encodes = nodes.filter(values.isEncode)
    val blockedIds = (nodes.flatMap(_.operands.filter(_.blocked).map(_.id)) ++ targets.map(_.id)).distinct
    val heldIds = blockedIds.filter(values.held.contains)
    val hostRows = blockedIds.filter(id => values.host.contains(id) && !heldIds.contains(id))
    val base = rowSource.open(encodes, heldIds, hostRows)
    val keeps = targets.collect { case Target.Keep(id) => id }.filterNot(values.held.contains)
    if (keeps.isEmpty) {
      val plan = compile(base.slots, Map.empty)
      try runJob(base.rdd, plan, Map.empty)
      finally {
        plan.destroy()
        base.destroy()
      }
    } else runKeeping(base, keeps)
  }

  /** Kept values become one persisted RDD; the rest of the pass reads that, in the same job. */
  private def runKeeping(base: RowBase, keeps: Seq[Int]): PassResult = {
    // Leaves other targets read beside the kept ones ride along, so that the source is read once.
    val others = targets.filterNot(target => target.isInstanceOf[Target.Keep])
    val carried = others.flatMap(values.chain).distinct
      .flatMap(node => node.id +: node.operands.filter(_.blocked).map(_.id))
      .filter(id => base.slots.contains(id) && !keeps.contains(id) && !values.held.contains(id))
      .distinct
    val stored = keeps ++ carried
    val keepPlan = compile(base.slots, stored.zipWithIndex.toMap)
    val plan = keepPlan.plan
    val heldBeside = base.heldRdd
    val rdd = base.rdd.mapPartitions(chunks => plan.keepAll(chunks)).persist(StorageLevel.MEMORY_AND_DISK)
    val owner = new PersistedRdd(rdd, keepPlan.broadcasts ++ base.broadcasts)
    try {
      val next = heldBeside match {
        case None => RowBase(rdd, stored.zipWithIndex.toMap, base.layout, Nil, None)
        case Some(other) => RowSource.zip(RowBase(rdd, stored.zipWithIndex.toMap, base.layout, Nil, None), other)
      }
      val foldPlan = compile(next.slots, Map.empty)
      try {
        val result = runJob(next.rdd, foldPlan, keeps.map(id => id -> next.slots(id)).toMap)
        owner.materialised = true
        PassResult(
          result.whole,
          keeps.zipWithIndex.map { case (id, slot) =>
            val shape = values.shape(id)
            id -> Held(owner, slot, base.layout, shape.rows, shape.cols, lastBytes(next.slots(id)))
          }.toMap)
      } finally foldPlan.destroy()
    } catch {
      case error: Throwable =>
        owner.drop()
        throw error
    }
  }

  private var lastBytes: Array[Long] = Array.empty

  private final class Compiled(val plan: BlockPlan, val broadcasts: Seq[org.apache.spark.broadcast.Broadcast[_]]) {
    def destroy(): Unit = broadcasts.foreach(_.destroy())
  }

  /** The plan over chunks with these slots. With `keep`, only what the kept values need; else all but them. */
  private def compile(slots: Map[Int, Int], keep: Map[Int, Int]): Compiled = {
    val hostIndex = mutable.LinkedHashMap[Int, Int]()
    val stepIndex = mutable.Map[Int, Int]()
    val steps = mutable.ArrayBuffer[Step]()
    def hostRef(id: Int): Int = hostIndex.getOrElseUpdate(id, hostIndex.size)
    def ref(operand: Operand): Ref =
      if (slots.contains(operand.id) && operand.blocked) Ref.Slot(slots(operand.id))
      else if (stepIndex.contains(operand.id) && operand.blocked) Ref.Step(stepIndex(operand.id))
      else if (operand.blocked) Ref.Rows(hostRef(operand.id))
      else Ref.Whole(hostRef(operand.id))
    val wanted = if (keep.nonEmpty) keep.keys.toSeq else targets.map(_.id)
    def visit(id: Int): Unit =
      if (!slots.contains(id) && !stepIndex.contains(id) && inside(id)) {
        val instruction = values.instructions(id)
        instruction.operands.filter(_.blocked).foreach(operand => visit(operand.id))
        values.kernel(instruction) match {
          case _: ReduceKernel =>
          case kernel =>
            steps += Step(kernel, instruction.operands.map(ref).toArray)
            stepIndex(id) = steps.length - 1
        }
      }
    wanted.foreach(visit)
    val sinks =
      if (keep.nonEmpty) Array.empty[Sink]
      else reductions.map { instruction =>
        Sink(values.kernel(instruction).asInstanceOf[ReduceKernel], instruction.operands.map(ref).toArray)
      }.toArray
    val gathers = if (keep.nonEmpty) Array.empty[Ref] else gatherIds.map(id => ref(Operand(id, blocked = true))).toArray
    val kept = keep.toSeq.sortBy(_._2).map { case (id, _) => ref(Operand(id, blocked = true)) }.toArray
    val broadcast = context.spark.broadcast(hostIndex.keys.map(values.host).toArray)
    new Compiled(new BlockPlan(steps.toArray, sinks, gathers, kept, broadcast), Seq(broadcast))
  }

  private lazy val reductions: Seq[Instruction] =
    targets.collect { case Target.Reduce(id) => values.instructions(id) }

  private lazy val gatherIds: Seq[Int] = targets.collect { case Target.Gather(id) => id }

  private def runJob(rdd: RDD[Chunk], compiled: Compiled, keepSlots: Map[Int, Int]): PassResult = {
    val plan = compiled.plan
    val partitions = rdd.getNumPartitions
    val sinkKernels = plan.sinks.map(_.kernel)
    val mergers = sinkKernels.map(kernel => new TreeMerger[DenseBlock](partitions, kernel.merge))
    val gathered = gatherIds.map { id =>
      val shape = values.shape(id)
      DenseBlock.zeros(DenseBlock.cells(shape.rows, 1), shape.cols)
    }
    val bytes = new Array[Long](64)
    var seen = 0L
    context.spark.runJob(
      rdd,
      (_: TaskContext, chunks: Iterator[Chunk]) => plan.fold(chunks),
      0 until partitions,
      (partition: Int, result: PartialResult) => {
        mergers.indices.foreach(i => mergers(i).add(partition, result.sinks(i)))
        gathered.indices.foreach { i =>
          result.gathered(i).foreach { case (startRow, block) =>
            System.arraycopy(block.values, 0, gathered(i).values, startRow.toInt * block.cols, block.values.length)
          }
        }
        bytes.indices.foreach(i => bytes(i) += result.slotBytes(i))
        seen += result.rows
      })
    if (seen != rows) {
      throw ShimError.data(
        s"frame: expected $rows rows as when it was opened, got $seen; the data changed while they were read")
    }
    lastBytes = bytes
    val reduced = reductions.indices.map { i =>
      val merged = mergers(i).result.getOrElse(sinkKernels(i).start().value)
      reductions(i).id -> sinkKernels(i).finish(merged)
    }
    PassResult((reduced ++ gatherIds.zip(gathered)).toMap, Map.empty)
  }
}
