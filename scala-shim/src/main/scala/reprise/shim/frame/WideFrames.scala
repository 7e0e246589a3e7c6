package reprise.shim.frame

import org.apache.spark.sql.SparkSession

/**
 * Settings for scans of hundreds of columns and more. They change what a scan takes, never what it
 * gives nor how its rows are cut, so scans at once that set them differently do no harm.
 */
object WideFrames {
  private val Columns = 500
  /** Interpreting a projection costs some 30 ns a cell, compiling one of 3,000 columns 7 s. */
  private val InterpretedCells = 100L * 1000 * 1000
  /** Cells of a batch of Parquet's reader, which each task holds. */
  private val BatchCells = 4 * 1000 * 1000

  def tune(session: SparkSession, columns: Int, rows: Long): Unit = {
    val isWide = columns >= Columns
    val interpreted = isWide && rows * columns <= InterpretedCells
    session.conf.set("spark.sql.codegen.factoryMode", if (interpreted) "NO_CODEGEN" else "FALLBACK")
    val batch = if (isWide) math.max(16, math.min(4096, BatchCells / columns)) else 4096
    session.conf.set("spark.sql.parquet.columnarReaderBatchSize", batch.toString)
  }
}
