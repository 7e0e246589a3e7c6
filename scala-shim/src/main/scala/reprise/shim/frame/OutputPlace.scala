package reprise.shim.frame

import java.util.UUID

import org.apache.hadoop.fs.Path
import org.apache.spark.sql.{AnalysisException, DataFrame, SaveMode}

import reprise.shim.ShimContext
import reprise.shim.protocol.ShimError

/**
 * Puts the rows of a frame in the place of what was there: a folder of Parquet files or a table.
 * Invariant: what was there stays until the new one is whole; there may be an instant without either.
 */
object OutputPlace {
  private val Format = "parquet"

  /** How many rows there are. */
  def replaceTable(context: ShimContext, frame: DataFrame, table: String): Long = {
    val session = context.session
    requireTableName(context, table)
    val staged = s"${table}__${UUID.randomUUID.toString.take(8)}"
    try {
      frame.write.format(Format).mode(SaveMode.ErrorIfExists).saveAsTable(staged)
      val rows = session.table(staged).count()
      session.sql(s"DROP TABLE IF EXISTS $table")
      session.sql(s"ALTER TABLE $staged RENAME TO $table")
      rows
    } finally session.sql(s"DROP TABLE IF EXISTS $staged")
  }

  /** @throws ShimError data for a text that is no plain name: it stands in statements */
  private def requireTableName(context: ShimContext, table: String): Unit = {
    def refuse(got: String): Nothing =
      throw ShimError.data(s"table: expected a name of a table, got $got", "path" -> table)
    if (!table.matches("""\w+(\.\w+){0,2}""")) refuse(table)
    try context.session.catalog.tableExists(table)
    catch { case error: AnalysisException => refuse(s"$table: ${SqlDialect.firstLine(error.getMessage)}") }
  }

  /** How many rows there are. */
  def replaceFolder(context: ShimContext, frame: DataFrame, given: String): Long = {
    val session = context.session
    val named = new Path(given)
    val target = named.getFileSystem(context.spark.hadoopConfiguration).makeQualified(named)
    val files = target.getFileSystem(session.sessionState.newHadoopConf())
    val staged = new Path(target.getParent, s"_${target.getName}-${UUID.randomUUID.toString.take(8)}")
    try {
      frame.write.format(Format).mode(SaveMode.ErrorIfExists).save(staged.toString)
      val rows = session.read.format(Format).load(staged.toString).count()
      files.delete(target, true)
      if (!files.rename(staged, target)) {
        throw ShimError.data(s"output: expected to rename $staged to $target, got a refusal of the storage", "path" -> given)
      }
      rows
    } finally files.delete(staged, true)
  }
}
