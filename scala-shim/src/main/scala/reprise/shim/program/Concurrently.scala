package reprise.shim.program

import java.util.concurrent.{Callable, Executors}
import java.util.concurrent.atomic.AtomicReference

import reprise.shim.ShimContext

/** Runs parts of a program at the same time, each from a thread of its own, as Spark's scheduler wants it. */
object Concurrently {

  /**
   * The outcome of each part, all of them ended: when one fails the run's other jobs are cancelled, and its error stands for
   * theirs. No more parts run at once than the live executors have cores.
   */
  def apply[T](context: ShimContext, run: String, parts: Seq[() => T]): Seq[Either[Throwable, T]] =
    if (parts.length <= 1) parts.map(part => attempt(part()))
    else {
      val first = new AtomicReference[Throwable]()
      val pool = Executors.newFixedThreadPool(math.max(1, math.min(parts.length, context.spark.defaultParallelism)))
      try {
        val futures = parts.map { part =>
          pool.submit(new Callable[Either[Throwable, T]] {
            def call(): Either[Throwable, T] = {
              context.runs.join(run)
              val outcome = if (first.get == null) attempt(context.withSession(part())) else Left(first.get)
              outcome.left.foreach { error =>
                if (first.compareAndSet(null, error)) context.runs.cancel(run)
              }
              outcome
            }
          })
        }
        futures.map(_.get()).map(_.left.map(_ => first.get))
      } finally pool.shutdownNow()
    }

  private def attempt[T](body: => T): Either[Throwable, T] =
    try Right(body)
    catch { case error: Throwable => Left(error) }
}
