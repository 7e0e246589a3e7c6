package reprise.shim.program

import org.apache.spark.{Partitioner, TaskContext}
import org.apache.spark.rdd.RDD

import reprise.shim.ShimContext
import reprise.shim.block.{Block, Chunk, WholeBlock}

/** Cuts the rows of one RDD the way another one is cut: a job to learn the cuts, then a shuffle. */
object Realign {
  /** What is held is cut once, and kept so beside what it was for as long. */
  def apply(context: ShimContext, base: RowBase, like: RowBase): RowBase = {
    def cut(): RDD[Chunk] = cutLike(context, base.rdd, like.rdd)
    val rdd = (base.owner, like.owner) match {
      case (Some(owner), Some(_)) => owner.cutAs(like.layout.key, cut _)
      case _ => cut()
    }
    base.copy(rdd = rdd, layout = like.layout, heldRdd = None)
  }

  private def cutLike(context: ShimContext, rows: RDD[Chunk], like: RDD[Chunk]): RDD[Chunk] = {
    val cuts: Array[Array[(Long, Int)]] = context.spark.runJob(
      like, (_: TaskContext, chunks: Iterator[Chunk]) => chunks.map(c => (c.startRow, c.rows)).toArray)
    val starts = cuts.zipWithIndex.flatMap { case (chunks, p) => chunks.map { case (start, rows) => (start, rows, p) } }.sortBy(_._1)
    val partitions = cuts.length
    val pieces = rows.flatMap { chunk =>
      val whole = chunk.slots.map(_.plain)
      overlapping(starts, chunk.startRow, chunk.startRow + chunk.rows).map { case (index, from, until) =>
        val offset = (from - chunk.startRow).toInt
        val slots = whole.map(block => block.sliceRows(offset, offset + (until - from).toInt): Block)
        (index, new Chunk(from, (until - from).toInt, slots))
      }
    }
    val byPartition = new Partitioner {
      def numPartitions: Int = partitions
      def getPartition(key: Any): Int = starts(key.asInstanceOf[Int])._3
    }
    pieces.groupByKey(byPartition).mapPartitions { groups =>
      groups.toArray.sortBy(_._1).iterator.map { case (index, parts) =>
        val sorted = parts.toArray.sortBy(_.startRow)
        new Chunk(starts(index)._1, starts(index)._2, sorted.head.slots.indices.map { s =>
          stack(sorted.map(_.slots(s).plain)): Block
        }.toArray)
      }
    }
  }

  private def overlapping(
      cuts: Array[(Long, Int, Int)], from: Long, until: Long): Iterator[(Int, Long, Long)] = {
    var low = 0
    var high = cuts.length
    while (low < high) {
      val middle = (low + high) >>> 1
      if (cuts(middle)._1 + cuts(middle)._2 <= from) low = middle + 1 else high = middle
    }
    Iterator.from(low).takeWhile(i => i < cuts.length && cuts(i)._1 < until).map { i =>
      (i, math.max(from, cuts(i)._1), math.min(until, cuts(i)._1 + cuts(i)._2))
    }
  }

  /** Single where one is: those of the same value that are not were compressed. */
  private def stack(blocks: Array[WholeBlock]): WholeBlock = {
    val isSingle = blocks.exists(_.isSingle)
    val out = WholeBlock.zeros(blocks.map(_.rows).sum, blocks.head.cols, isSingle)
    var row = 0
    blocks.foreach { block =>
      out.put(row, WholeBlock.of(block, isSingle))
      row += block.rows
    }
    out
  }
}
