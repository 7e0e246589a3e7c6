package reprise.shim.program

import scala.collection.mutable

import org.apache.spark.broadcast.Broadcast
import org.apache.spark.rdd.RDD
import org.apache.spark.storage.StorageLevel

import reprise.shim.ShimContext
import reprise.shim.block.Chunk

/**
 * One persisted RDD whose slots are values the driver holds handles to. Its rows come from
 * `parents` and `broadcasts`, which must stay as long as Spark may have to compute a partition of
 * it: until it is computed and its lineage cut, or until it is dropped. So a parent nobody holds
 * any more lingers under a child that is kept but not computed yet, and goes with the job that
 * computes the child. Source: MEMPHIS (EDBT 2025) section 5, lazy garbage collection. Invariants:
 * the driver's handles and running programs are the only owners; each part is let go once.
 */
final class PersistedRdd(
    context: ShimContext,
    val rdd: RDD[Chunk],
    private var broadcasts: Seq[Broadcast[_]],
    private var shared: Seq[SharedBroadcast],
    private var parents: Seq[PersistedRdd],
    steps: KeptSteps) {
  import PersistedRdd.graph

  /** Handles and running programs; the maker's program is the first. */
  private var users = 1
  /** Children whose lineage leads here. */
  private var readers = 0
  private var isDropped = false
  /** The same rows cut as others are, by the others' layout. */
  private val copies = mutable.Map[String, RDD[Chunk]]()
  @volatile private var isFreed = false

  graph.synchronized {
    shared.foreach(_.acquire())
    parents.foreach(_.readers += 1)
  }

  private val depth: Int = 1 + PersistedRdd.depthOver(parents)

  /** Every partition is stored. Once lineage is cut, Spark keeps them all or the value is lost. */
  def isComplete: Boolean = isCut || context.spark.getRDDStorageInfo.exists { info =>
    info.id == rdd.id && info.numCachedPartitions == info.numPartitions
  }

  private def isCut: Boolean = rdd.isCheckpointed

  /** The rows as `cut` gives them, kept for whoever reads them beside the same others again. */
  def cutAs(layout: String, cut: () => RDD[Chunk]): RDD[Chunk] = copies.synchronized {
    copies.getOrElse(layout, {
      val made = cut()
      if (copies.size < PersistedRdd.MaxCopies) copies(layout) = made.persist(StorageLevel.MEMORY_AND_DISK)
      made
    })
  }

  def acquire(): Unit = graph.synchronized(users += 1)

  def release(): Unit = graph.synchronized {
    users -= 1
    settle(this)
  }

  /** A job has read it all. If that cut its lineage, what it held goes when no program needs it. */
  def noteJob(): Unit =
    if (!isFreed && isCut) {
      isFreed = true
      context.epochs.later(() => graph.synchronized(forgetOrigins().foreach(settle)))
    }

  private def forgetOrigins(): Seq[PersistedRdd] = {
    val above = parents
    steps.plan = null
    broadcasts.foreach(context.broadcasts.destroy)
    shared.foreach(_.release())
    above.foreach(_.readers -= 1)
    broadcasts = Nil
    shared = Nil
    parents = Nil
    above
  }

  /** Drops what nobody owns, from `first` upwards; chains may be long, so without recursion. */
  private def settle(first: PersistedRdd): Unit = {
    val open = mutable.Queue(first)
    while (open.nonEmpty) {
      val next = open.dequeue()
      if (next.users == 0 && next.readers == 0 && !next.isDropped) {
        next.isDropped = true
        next.rdd.unpersist(blocking = false)
        next.copies.synchronized(next.copies.values.foreach(_.unpersist(blocking = false)))
        open ++= next.forgetOrigins()
      }
    }
  }
}

/**
 * How an RDD's chunks are made. Spark sends it along with every task that reads the RDD, computed
 * or not, and refuses to send a destroyed broadcast: so it is emptied when the RDD's lineage is
 * cut.
 */
final class KeptSteps(@volatile var plan: BlockPlan) extends Serializable

object PersistedRdd {
  /**
   * The RDD to persist over one that computes. A step of its own: Spark sends an RDD's closure with
   * every task that reads it, even when its lineage is cut, and this one refers to no broadcast.
   */
  def stored(computed: RDD[Chunk]): RDD[Chunk] = computed.mapPartitions(chunks => chunks, preservesPartitioning = true)

  /** Guards the counts of all of them: they form one graph. */
  private val graph = new Object

  /** Persisted steps Spark would go back through to compute a partition of something over these. */
  def depthOver(parents: Seq[PersistedRdd]): Int =
    parents.map(parent => if (parent.isCut) 0 else parent.depth).foldLeft(0)(math.max)

  private val MaxCopies = 4

  /** Steps in sequence with uncut lineage; more would make Spark's recursion over it deep. */
  val MaxDepth = 16
}
