package reprise.shim.program

import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.{AtomicInteger, AtomicLong}

import scala.collection.JavaConverters._

import org.apache.spark.SparkContext
import org.apache.spark.reprise.ListenerBus
import org.apache.spark.scheduler._

/**
 * Counts Spark jobs and tasks by run; a run is a Spark job group, so that it can be cancelled as
 * one. Invariant: a cancelled run ends, also when the cancellation came before the run did, or
 * between two of its jobs: Spark cancels the jobs a group has, not those it is about to get.
 */
final class RunTracker(spark: SparkContext) {
  private final class Run {
    val jobs = new AtomicInteger
    val tasks = new AtomicInteger
    val tasksDone = new AtomicInteger
    @volatile var cancelled = false
  }

  private val runs = new ConcurrentHashMap[String, Run]()
  private val runOfStage = new ConcurrentHashMap[Int, Run]()
  private val allJobs = new AtomicInteger
  private val allBytesRead = new AtomicLong
  /** Names of runs that were cancelled before they began; the oldest are forgotten. */
  private val early = java.util.Collections.newSetFromMap(
    new java.util.LinkedHashMap[String, java.lang.Boolean] {
      override def removeEldestEntry(eldest: java.util.Map.Entry[String, java.lang.Boolean]): Boolean = size > 256
    })

  spark.addSparkListener(new SparkListener {
    override def onJobStart(event: SparkListenerJobStart): Unit = {
      allJobs.incrementAndGet()
      val group = Option(event.properties).map(_.getProperty("spark.jobGroup.id")).orNull
      val run = if (group == null) null else runs.get(group)
      if (run != null) {
        run.jobs.incrementAndGet()
        event.stageInfos.foreach { stage =>
          run.tasks.addAndGet(stage.numTasks)
          runOfStage.put(stage.stageId, run)
        }
        // Submitted while its group was being cancelled: the group's cancellation did not see it.
        if (run.cancelled) spark.cancelJobGroup(group)
      }
    }
    override def onTaskEnd(event: SparkListenerTaskEnd): Unit = {
      val run = runOfStage.get(event.stageId)
      if (run != null) run.tasksDone.incrementAndGet()
      Option(event.taskMetrics).foreach(metrics => allBytesRead.addAndGet(metrics.inputMetrics.bytesRead))
    }
    override def onStageCompleted(event: SparkListenerStageCompleted): Unit =
      runOfStage.remove(event.stageInfo.stageId)
  })

  /** Runs `body` as the job group `run`; the answer's second part is its number of Spark jobs. */
  def track[T](run: String)(body: => T): (T, Int) = {
    val state = new Run
    early.synchronized {
      state.cancelled = early.remove(run)
      runs.put(run, state)
    }
    join(run)
    try {
      val result = body
      ListenerBus.drain(spark, 2000)
      (result, state.jobs.get)
    } finally {
      spark.clearJobGroup()
      runs.remove(run)
    }
  }

  /**
   * True when the run was in progress. Its jobs end with an error that reads as a cancellation; a
   * run of that name that has not begun ends as it begins, since a cancellation overtakes a program
   * with large payloads.
   */
  def cancel(run: String): Boolean = {
    val state = early.synchronized {
      val found = runs.get(run)
      if (found == null) early.add(run) else found.cancelled = true
      found
    }
    if (state != null) spark.cancelJobGroup(run)
    state != null
  }

  /** Makes this thread's jobs part of a run that another thread tracks. */
  def join(run: String): Unit = spark.setJobGroup(run, s"reprise $run", interruptOnCancel = true)

  def isCancelled(run: String): Boolean = {
    val state = runs.get(run)
    state != null && state.cancelled
  }

  /** Finished part of each run in progress, 0..1. */
  def progress: Map[String, Double] =
    runs.asScala.map { case (name, run) =>
      name -> (if (run.tasks.get == 0) 0.0 else math.min(1.0, run.tasksDone.get.toDouble / run.tasks.get))
    }.toMap

  def jobs: Int = {
    ListenerBus.drain(spark, 2000)
    allJobs.get
  }

  /** What tasks read from files and from stored row blocks since the application began. */
  def bytesRead: Long = {
    ListenerBus.drain(spark, 2000)
    allBytesRead.get
  }
}
