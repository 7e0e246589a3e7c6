package org.apache.spark.reprise

import org.apache.spark.SparkEnv
import org.apache.spark.storage.BroadcastBlockId

/** In Spark's package because the block manager is private to it. */
object BlockStore {
  /** Broadcasts the driver's block manager holds, Spark's own included. */
  def broadcastIds: Set[Long] =
    SparkEnv.get.blockManager.getMatchingBlockIds(_.isBroadcast).collect { case BroadcastBlockId(id, _) => id }.toSet

  /** Host and port under which the driver's own storage stands in `getExecutorMemoryStatus`. */
  def driverAddress: String = SparkEnv.get.blockManager.blockManagerId.hostPort
}
