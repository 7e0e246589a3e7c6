package reprise.shim.program

import java.util.concurrent.ConcurrentHashMap

import scala.reflect.ClassTag

import org.apache.spark.SparkContext
import org.apache.spark.broadcast.Broadcast
import org.apache.spark.reprise.BlockStore

import reprise.shim.block.Block

/** Every broadcast of the shim. Invariant: each is destroyed once, not waiting for executors. */
final class Broadcasts(spark: SparkContext) {
  private val live = ConcurrentHashMap.newKeySet[java.lang.Long]()
  /** The last ones destroyed, to see that Spark let go of them. */
  private val destroyed = new java.util.concurrent.ConcurrentLinkedDeque[java.lang.Long]()

  def make[T: ClassTag](value: T): Broadcast[T] = {
    val made = spark.broadcast(value)
    live.add(made.id)
    made
  }

  def destroy(broadcast: Broadcast[_]): Unit = if (live.remove(broadcast.id)) {
    broadcast.destroy()
    destroyed.addLast(broadcast.id)
    if (destroyed.size > Broadcasts.Remembered) destroyed.pollFirst()
  }

  /** Those of ours that Spark says it stores. What it makes for its stages does not count. */
  def stored: Int = BlockStore.broadcastIds.count(id => live.contains(id) || destroyed.contains(id))
}

object Broadcasts {
  private val Remembered = 1024
}

/** A host value held whole in the cluster for all programs. Destroyed when nobody reads it. */
final class SharedBroadcast(owner: Broadcasts, val value: Broadcast[Block]) {
  private var users = 1

  def acquire(): Unit = synchronized(users += 1)

  def release(): Unit = synchronized {
    users -= 1
    if (users == 0) owner.destroy(value)
  }
}
