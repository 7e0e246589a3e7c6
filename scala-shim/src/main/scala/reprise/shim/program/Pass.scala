package reprise.shim.program

import scala.collection.mutable

import org.apache.spark.{TaskContext}
import org.apache.spark.rdd.RDD

import reprise.shim.ShimContext
import reprise.shim.block.{Chunk, DenseBlock, WholeBlock}
import reprise.shim.frame.Feature
import reprise.shim.ops._
import reprise.shim.protocol.Json._
import reprise.shim.protocol.ShimError

final case class PassResult(
    whole: Map[Int, WholeBlock], parts: Map[Int, Seq[WholeBlock]], kept: Map[Int, Held])

/**
 * One Spark job: reads the rows its targets share once, evaluates their instructions chunk by
 * chunk, folds the reductions, and keeps or collects what was asked for.
 */
final class Pass(context: ShimContext, values: ProgramValues, targets: Seq[Target]) {
  private val nodes: Seq[Instruction] = targets.flatMap(values.chain(_: Target)).distinct
  private val rows: Long = values.rowsOf(targets.head)
  private val compiler = new PlanCompiler(context, values)

  /** Kernels this pass runs; one run block by block counts once. */
  val kernels: Int = targets.flatMap(values.wholeChain).distinct.length

  def run(): PassResult = {
    val base = new RowSource(context, values, rows).open(nodes, targets.map(_.id))
    val keeps = targets.collect { case Target.Keep(id) => id }.filterNot(values.held.contains)
    if (keeps.isEmpty) {
      val plan = compiler.fold(base.slots, reductions, gatherIds)
      try runJob(base.rdd, plan)
      finally {
        plan.destroy()
        base.destroy(context.broadcasts)
      }
    } else runKeeping(base, keeps)
  }

  /** Kept values become one persisted RDD; the rest of the pass reads that, in the same job. */
  private def runKeeping(base: RowBase, keeps: Seq[Int]): PassResult = {
    val parents = values.ownersBelow(targets)
    // Leaves other targets read beside the kept ones ride along, so that the source is read once.
    val others = targets.filterNot(target => target.isInstanceOf[Target.Keep])
    val carried = others.flatMap(values.chain(_: Target)).distinct
      .flatMap(node => node.id +: node.operands.filter(_.blocked).map(_.id))
      .++(others.map(_.id))
      .filter(id => base.slots.contains(id) && !keeps.contains(id) && !values.held.contains(id))
      .distinct
    val stored = keeps ++ carried
    val keepPlan = compiler.keep(base.slots, stored)
    val steps = new KeptSteps(keepPlan.plan)
    val layout = steps.plan.layout(base.layout)
    val heldBeside = base.heldRdd.map(beside => beside.copy(rdd = RowSource.cut(beside.rdd, steps.plan.pieceRows)))
    val isDeep = PersistedRdd.depthOver(parents) + 1 >= PersistedRdd.MaxDepth
    val level = Keeping.level(keeps.map(values.keep), isDeep)
    val rdd = PersistedRdd.stored(base.rdd.mapPartitions(chunks => steps.plan.keepAll(chunks))).persist(level)
    // Its lineage is cut by the job that computes it, so that loops don't grow it and its origins
    // can go.
    if (level.useDisk) rdd.localCheckpoint()
    val owner = new PersistedRdd(context, rdd, keepPlan.broadcast +: base.broadcasts,
      keepPlan.shared ++ base.shared, parents, steps)
    def held(bytes: Int => Long): Map[Int, Held] =
      keeps.zipWithIndex.map { case (id, slot) =>
        id -> Held(owner, slot, layout, values.shape(id), bytes(id))
      }.toMap
    if (others.isEmpty && keeps.forall(values.keep(_).isLazy) && !isDeep) {
      return PassResult(Map.empty, Map.empty, held(values.shape(_).bytes))
    }
    try {
      val next = heldBeside match {
        case None => RowBase(rdd, stored.zipWithIndex.toMap, layout, Nil, None)
        case Some(other) => RowSource.zip(RowBase(rdd, stored.zipWithIndex.toMap, layout, Nil, None), other)
      }
      val foldPlan = compiler.fold(next.slots, reductions, gatherIds)
      try {
        val result = runJob(next.rdd, foldPlan)
        owner.noteJob()
        PassResult(result.whole, result.parts, held(id => lastBytes(next.slots(id))))
      } finally foldPlan.destroy()
    } catch {
      case error: Throwable =>
        owner.release()
        throw error
    }
  }

  private var lastBytes: Array[Long] = Array.empty

  private val reductions: Seq[Instruction] =
    targets.collect { case Target.Reduce(id) => values.instructions(id) }

  private val gatherIds: Seq[Int] = targets.collect { case Target.Gather(id) => id }

  private def runJob(rdd: RDD[Chunk], compiled: Compiled): PassResult = {
    val plan = compiled.plan
    val partitions = rdd.getNumPartitions
    val mergers = plan.sinks.map(sink => new PartMerger(sink.kernel, math.max(1, sink.ends.length), partitions))
    val gathered = gatherIds.map { id =>
      val shape = values.shape(id)
      WholeBlock.zeros(DenseBlock.cells(shape.rows, 1), shape.cols, shape.isSingle)
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
            gathered(i).put(startRow.toInt, WholeBlock.of(block, gathered(i).isSingle))
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
    val reduced = reductions.indices.map(i => reductions(i).id -> mergers(i).whole)
    val parts = reductions.indices.filter(i => plan.sinks(i).ends.nonEmpty).map(i => reductions(i).id -> mergers(i).parts)
    PassResult((reduced ++ gatherIds.zip(gathered)).toMap, parts.toMap, Map.empty)
  }
}
