package reprise.shim.program

import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicInteger

import scala.collection.JavaConverters._

import org.apache.spark.SparkContext
import org.apache.spark.reprise.ListenerBus
import org.apache.spark.scheduler._

/** Counts Spark jobs and tasks by run; a run is a Spark job group, so that it can be cancelled as one. */
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
      }
    }
    override def onTaskEnd(event: SparkListenerTaskEnd): Unit = {
      val run = runOfStage.get(event.stageId)
      if (run != null) run.tasksDone.incrementAndGet()
    }
    override def onStageCompleted(event: SparkListenerStageCompleted): Unit =
      runOfStage.remove(event.stageInfo.stageId)
  })

  /** Runs `body` as the job group `run`; the second part of the answer is how many Spark jobs it took. */
  def track[T](run: String)(body: => T): (T, Int) = {
    val state = new Run
    runs.put(run, state)
    spark.setJobGroup(run, s"reprise $run", interruptOnCancel = true)
    try {
      val result = body
      ListenerBus.drain(spark, 2000)
      (result, state.jobs.get)
    } finally {
      spark.clearJobGroup()
      runs.remove(run)
    }
  }

  /** True when the run was in progress. Its jobs end with an error that reads as a cancellation. */
  def cancel(run: String): Boolean = {
    val state = runs.get(run)
    if (state != null) {
      state.cancelled = true
      spark.cancelJobGroup(run)
    }
    state != null
  }

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
}
