package reprise.shim.program

/**
 * Merges the results of partitions as they come, always along the same binary tree over partition numbers, so that the
 * result has the same bits however tasks were timed, and no more than a path of partial results is held.
 */
final class TreeMerger[T](partitions: Int, merge: (T, T) => T) {
  private val waiting = scala.collection.mutable.Map[(Int, Int), T]()
  private var root: Option[T] = None
  private val depth = Iterator.from(0).find(level => (1L << level) >= partitions).get

  def add(partition: Int, value: T): Unit = synchronized(rise(0, partition, value))

  /** The merged value, once every partition was added; none for no partitions. */
  def result: Option[T] = synchronized(root)

  @annotation.tailrec
  private def rise(level: Int, index: Int, value: T): Unit =
    if (level == depth) root = Some(value)
    else {
      val sibling = index ^ 1
      if ((sibling.toLong << level) >= partitions) rise(level + 1, index >> 1, value)
      else
        waiting.remove((level, sibling)) match {
          case None => waiting.put((level, index), value)
          case Some(other) =>
            val merged = if (index < sibling) merge(value, other) else merge(other, value)
            rise(level + 1, index >> 1, merged)
        }
    }
}
