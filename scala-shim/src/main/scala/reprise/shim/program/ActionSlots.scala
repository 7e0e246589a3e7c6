package reprise.shim.program

import reprise.shim.protocol.ShimError

/**
 * How many actions, of all programs together, run at once: as many as the live executors have task
 * slots, since each has a task at least. The figure is asked for anew at each start, so that an
 * executor that is lost or comes counts from the next action on. Invariants: one action may always
 * run, or nothing would ask for executors; those that run go on.
 */
final class ActionSlots(live: () => Int) {
  private val CheckMs = 200L
  private var running = 0
  private var waiting = 0

  /** What may run at once now. */
  def limit: Int = math.max(1, live())

  /** Actions under way and actions held back. */
  def counts: (Int, Int) = synchronized((running, waiting))

  /** Runs `action` when there is room. @throws ShimError when `isCancelled` turns true before */
  def apply[T](isCancelled: => Boolean)(action: => T): T = {
    enter(isCancelled)
    try action
    finally leave()
  }

  private def enter(isCancelled: => Boolean): Unit = synchronized {
    waiting += 1
    try {
      while (running >= limit) {
        if (isCancelled) throw new ShimError("cancelled", "spark: expected the run to end, got a cancellation")
        // Executors come without telling anybody here, so it looks again by itself.
        wait(CheckMs)
      }
      running += 1
    } finally waiting -= 1
  }

  private def leave(): Unit = synchronized {
    running -= 1
    notifyAll()
  }
}
