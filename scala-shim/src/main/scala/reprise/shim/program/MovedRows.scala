package reprise.shim.program

import org.apache.spark.rdd.RDD

import reprise.shim.block.{Block, BlockForm, Chunk}
import reprise.shim.ops.{ColumnRange, Move, SelectRows}

/**
 * Takes the rows of RDDs to other row numbers, lazily: what comes out is read by the pass that
 * needs it. Chunks keep their cells together, so that nothing is shuffled. Invariant: equal layout
 * keys mean equal cuts into chunks.
 */
object MovedRows {

  /** Chunks that have rows in `[from, until)`, before anything is computed from them. */
  def overlapping(rdd: RDD[Chunk], from: Long, until: Long): RDD[Chunk] =
    rdd.filter(chunk => chunk.startRow < until && chunk.startRow + chunk.rows > from)

  /** Rows `[from, until)`, first row 0; slot i only the columns `columns(i)` where given. */
  def cut(rdd: RDD[Chunk], from: Long, until: Long, columns: Array[Option[(Int, Int)]]): RDD[Chunk] =
    rdd.map { chunk =>
      val first = math.max(0L, from - chunk.startRow).toInt
      val end = math.min(chunk.rows.toLong, until - chunk.startRow).toInt
      val slots = chunk.slots.indices.map { i =>
        ColumnRange(chunk.slots(i).sliceRows(first, end), columns(i))
      }
      new Chunk(chunk.startRow + first - from, end - first, slots.toArray[Block])
    }

  /** RDDs one after the other; `offsets` are the rows before each. */
  def stack(rdds: Seq[RDD[Chunk]], offsets: Seq[Long]): RDD[Chunk] = {
    val shifted = rdds.zip(offsets).map { case (rdd, offset) =>
      rdd.map(chunk => new Chunk(chunk.startRow + offset, chunk.rows, chunk.slots))
    }
    shifted.head.sparkContext.union(shifted)
  }

  /** How many rows of each partition the mask, the last slot, selects: a job of its own. */
  def count(rdd: RDD[Chunk]): Array[Long] =
    rdd.sparkContext.runJob(
      rdd, (chunks: Iterator[Chunk]) => chunks.map(chunk => SelectRows.selected(chunk.slots.last).length.toLong).sum)

  /** The selected rows of all slots but the last, `counts` being those of each partition. */
  def select(rdd: RDD[Chunk], counts: Array[Long]): RDD[Chunk] = {
    val firstRows = counts.scanLeft(0L)(_ + _)
    rdd.mapPartitionsWithIndex { (partition, chunks) =>
      var next = firstRows(partition)
      chunks.flatMap { chunk =>
        val rows = SelectRows.selected(chunk.slots.last)
        val start = next
        next += rows.length
        if (rows.isEmpty) None
        else Some(new Chunk(start, rows.length, chunk.slots.init.map(slot => SelectRows.take(slot, rows))))
      }
    }
  }
}
