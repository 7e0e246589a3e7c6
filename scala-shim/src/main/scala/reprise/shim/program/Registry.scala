package reprise.shim.program

import java.util.concurrent.ConcurrentHashMap

import scala.collection.JavaConverters._

import reprise.shim.ops.Shape

/** How rows are cut into partitions and chunks. RDDs with equal keys can be zipped. */
final case class Layout(key: String, rows: Long, chunkRows: Int)

/** A blocked value held in the cluster. */
final case class Held(owner: PersistedRdd, slot: Int, layout: Layout, shape: Shape, bytes: Long)

/** Values the driver has handles to. Invariant: a handle is dropped once, however often asked. */
final class Registry {
  private val held = new ConcurrentHashMap[String, Held]()
  private val whole = new ConcurrentHashMap[String, SharedBroadcast]()

  def put(handle: String, value: Held): Unit = {
    value.owner.acquire()
    Option(held.put(handle, value)).foreach(_.owner.release())
  }

  /** The value, with a lease on it: the caller releases its owner. */
  def lease(handle: String): Option[Held] =
    Option(held.computeIfPresent(
      handle,
      (_: String, value: Held) => {
        value.owner.acquire()
        value
      }))

  def get(handle: String): Option[Held] = Option(held.get(handle))

  def drop(handle: String): Boolean = {
    val found = Option(held.remove(handle))
    found.foreach(_.owner.release())
    found.isDefined
  }

  /** Takes over the caller's share of the broadcast. */
  def putBroadcast(handle: String, value: SharedBroadcast): Unit =
    Option(whole.put(handle, value)).foreach(_.release())

  def getBroadcast(handle: String): Option[SharedBroadcast] = Option(whole.get(handle))

  def leaseBroadcast(handle: String): Option[SharedBroadcast] =
    Option(whole.computeIfPresent(
      handle,
      (_: String, value: SharedBroadcast) => {
        value.acquire()
        value
      }))

  def dropBroadcast(handle: String): Boolean = {
    val found = Option(whole.remove(handle))
    found.foreach(_.release())
    found.isDefined
  }

  def handles: Map[String, Held] = held.asScala.toMap
  def broadcasts: Seq[String] = whole.keySet.asScala.toSeq.sorted
}
