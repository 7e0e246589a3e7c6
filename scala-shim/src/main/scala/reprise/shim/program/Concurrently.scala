package reprise.shim.program

import java.util.concurrent.{Callable, Executors}
import java.util.concurrent.atomic.AtomicReference

import reprise.shim.ShimContext

/** Runs parts of a program at once, each from its own thread, as Spark's scheduler needs. */
object Concurrently {
  /** Parts of one program that wait or run; more slots than this are for other programs. */
  private val MaxThreads = 64

  /**
   * The outcome of each part, all of them ended: when one fails the run's other jobs are cancelled,
   * and its error stands for theirs. They are admitted by `ActionSlots`, together with those of
   * other programs.
   */
  def apply[T](context: ShimContext, run: String, parts: Seq[() => T]): Seq[Either[Throwable, T]] =
    if (parts.length <= 1) parts.map(part => attempt(admitted(context, run, part)))
    else {
      val first = new AtomicReference[Throwable]()
      val pool = Executors.newFixedThreadPool(math.min(parts.length, MaxThreads))
      try {
        val futures = parts.map { part =>
          pool.submit(new Callable[Either[Throwable, T]] {
            def call(): Either[Throwable, T] = {
              context.runs.join(run)
              val outcome = if (first.get == null) attempt(admitted(context, run, () => context.withSession(part()))) else Left(first.get)
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

  private def admitted[T](context: ShimContext, run: String, part: () => T): T =
    context.actions(context.runs.isCancelled(run))(part())

  private def attempt[T](body: => T): Either[Throwable, T] =
    try Right(body)
    catch { case error: Throwable => Left(error) }
}
