package reprise.shim.program

import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicInteger

import scala.collection.JavaConverters._

import org.apache.spark.broadcast.Broadcast
import org.apache.spark.rdd.RDD

import reprise.shim.block.{Chunk, DenseBlock}

/** How rows are cut into partitions and chunks. Equal keys mean equal cuts, so such RDDs can be zipped. */
final case class Layout(key: String, rows: Long, chunkRows: Int)

/** One persisted RDD whose slots are values the driver holds; dropped when its last handle is. */
final class PersistedRdd(val rdd: RDD[Chunk], broadcasts: Seq[Broadcast[_]]) {
  private val users = new AtomicInteger
  @volatile var materialised = false

  def acquire(): Unit = users.incrementAndGet()
  def release(): Unit = if (users.decrementAndGet() == 0) drop()

  def drop(): Unit = {
    rdd.unpersist(blocking = false)
    broadcasts.foreach(_.destroy())
  }
}

/** A blocked value held in the cluster. */
final case class Held(owner: PersistedRdd, slot: Int, layout: Layout, rows: Long, cols: Int, bytes: Long)

/** Values the driver holds handles to. Invariant: a handle is dropped exactly once, whoever asks how often. */
final class Registry {
  private val held = new ConcurrentHashMap[String, Held]()
  private val whole = new ConcurrentHashMap[String, Broadcast[DenseBlock]]()

  def put(handle: String, value: Held): Unit = {
    value.owner.acquire()
    Option(held.put(handle, value)).foreach(_.owner.release())
  }

  def get(handle: String): Option[Held] = Option(held.get(handle))

  def drop(handle: String): Boolean = {
    val found = Option(held.remove(handle))
    found.foreach(_.owner.release())
    found.isDefined
  }

  def putBroadcast(handle: String, value: Broadcast[DenseBlock]): Unit =
    Option(whole.put(handle, value)).foreach(_.destroy())

  def getBroadcast(handle: String): Option[Broadcast[DenseBlock]] = Option(whole.get(handle))

  def dropBroadcast(handle: String): Boolean = {
    val found = Option(whole.remove(handle))
    found.foreach(_.destroy())
    found.isDefined
  }

  def handles: Map[String, Held] = held.asScala.toMap
  def broadcasts: Seq[String] = whole.keySet.asScala.toSeq.sorted
}
