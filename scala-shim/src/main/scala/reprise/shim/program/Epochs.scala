package reprise.shim.program

import scala.collection.mutable

/**
 * Runs things once every program that was running when they were put off has ended: tasks of such a
 * program may have been sent out with what is to go. Source: epoch-based reclamation.
 */
final class Epochs {
  private var next = 0L
  private val running = mutable.SortedSet[Long]()
  private val waiting = mutable.Queue[(Long, () => Unit)]()

  /** A program begins; the answer names it. */
  def enter(): Long = synchronized {
    next += 1
    running += next
    next
  }

  /** A program has ended; ending it twice is the same. */
  def exit(program: Long): Unit = take(running -= program).foreach(action => action())

  def later(action: () => Unit): Unit = take(waiting.enqueue((next, action))).foreach(due => due())

  private def take(change: => Any): Seq[() => Unit] = synchronized {
    change
    val due = mutable.ArrayBuffer[() => Unit]()
    while (waiting.nonEmpty && running.headOption.forall(_ > waiting.head._1)) due += waiting.dequeue()._2
    due.toSeq
  }
}
