package reprise.shim.program

import reprise.shim.block.{DenseBlock, WholeBlock}
import reprise.shim.ops.ReduceKernel

/**
 * Merges the results of partitions as they come, always along the same binary tree over partition
 * numbers, so that the result has the same bits however tasks were timed, and no more than a path
 * of partial results is held.
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

/** Merges what partitions send of one reduction, each part of the rows by itself. */
final class PartMerger(kernel: ReduceKernel, count: Int, partitions: Int) {
  private val mergers = Array.fill(count)(new TreeMerger[Option[DenseBlock]](partitions, mergeSome))

  /** @param values by part; a partition has rows of some parts only */
  def add(partition: Int, values: Array[(Int, DenseBlock)]): Unit = {
    val byPart = values.toMap
    mergers.indices.foreach(part => mergers(part).add(partition, byPart.get(part)))
  }

  /** Finished, in order; once every partition was added. */
  lazy val parts: Seq[WholeBlock] = merged.map(value => kernel.finish(copy(value)))

  /** The reduction over all parts. */
  lazy val whole: WholeBlock =
    if (count == 1) kernel.finish(merged.head) else kernel.finish(merged.tail.foldLeft(copy(merged.head))(kernel.merge))

  private lazy val merged: Seq[DenseBlock] =
    mergers.toSeq.map(_.result.flatten.getOrElse(kernel.start().value))

  /** Merging may write over its first operand, and finishing over its only one. */
  private def copy(value: DenseBlock): DenseBlock = new DenseBlock(value.rows, value.cols, value.values.clone())

  private def mergeSome(a: Option[DenseBlock], b: Option[DenseBlock]): Option[DenseBlock] =
    if (a.isEmpty) b else if (b.isEmpty) a else Some(kernel.merge(a.get, b.get))
}
