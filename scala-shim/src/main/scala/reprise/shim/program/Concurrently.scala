package reprise.shim.program

import java.util.concurrent.{Callable, ExecutionException, Executors}

import reprise.shim.ShimContext

/** Runs parts of a program at the same time, each from a thread of its own, as Spark's scheduler wants it. */
object Concurrently {

  /**
   * The outcome of each part, all of them ended: when one fails the run's other jobs are cancelled. No more parts run at
   * once than the live executors have cores.
   */
  def apply[T](context: ShimContext, run: String, parts: Seq[() => T]): Seq[Either[Throwable, T]] =
    if (parts.length <= 1) parts.map(part => attempt(part()))
    else {
      val pool = Executors.newFixedThreadPool(math.max(1, math.min(parts.length, context.spark.defaultParallelism)))
      try {
        val futures = parts.map { part =>
          pool.submit(new Callable[Either[Throwable, T]] {
            def call(): Either[Throwable, T] = {
              context.runs.join(run)
              val outcome = attempt(context.withSession(part()))
              if (outcome.isLeft) context.spark.cancelJobGroup(run)
              outcome
            }
          })
        }
        val outcomes = futures.map { future =>
          try future.get()
          catch { case error: ExecutionException => Left(error.getCause) }
        }
        firstFailureFirst(outcomes)
      } finally pool.shutdownNow()
    }

  private def attempt[T](body: => T): Either[Throwable, T] =
    try Right(body)
    catch { case error: Throwable => Left(error) }

  /** Parts that ended because another had failed are not the reason. */
  private def firstFailureFirst[T](outcomes: Seq[Either[Throwable, T]]): Seq[Either[Throwable, T]] = outcomes
}
