package org.apache.spark.reprise

import org.apache.spark.SparkContext

/** In Spark's package as the bus is private to it: counters are exact once it has delivered. */
object ListenerBus {
  /** Waits until every event posted so far was delivered; gives up silently after `timeoutMs`. */
  def drain(context: SparkContext, timeoutMs: Long): Unit =
    try context.listenerBus.waitUntilEmpty(timeoutMs)
    catch { case _: java.util.concurrent.TimeoutException => () }
}
