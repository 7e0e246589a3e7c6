package org.apache.spark.reprise

import org.apache.spark.SparkContext

/** In Spark's package as the figure is private to it: barrier stages are admitted by it. */
object LiveSlots {
  /** Tasks that the executors which live now can run at once; 0 while there are none. */
  def of(context: SparkContext): Int =
    context.maxNumConcurrentTasks(context.resourceProfileManager.defaultResourceProfile)
}
