package org.apache.spark.reprise

import org.apache.spark.{SparkContext, SparkEnv}
import org.apache.spark.storage.BlockManagerId

/** In Spark's package because the identities of executors are private to it. */
object Executors {
  /** Those that live now, in order of their names; the driver is none. */
  def of(spark: SparkContext): Seq[BlockManagerId] =
    spark.env.blockManager.master.getMemoryStatus.keys.filterNot(_.isDriver).toSeq.sortBy(_.executorId)

  /** Of this JVM. */
  def own: BlockManagerId = SparkEnv.get.blockManager.blockManagerId

  /** Where a task prefers to run, as Spark writes it. */
  def preference(executor: BlockManagerId): String = s"executor_${executor.host}_${executor.executorId}"
}
