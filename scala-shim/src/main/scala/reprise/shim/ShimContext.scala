package reprise.shim

import java.security.SecureRandom

import org.apache.spark.SparkContext
import org.apache.spark.reprise.LiveSlots
import org.apache.spark.sql.SparkSession

import reprise.shim.frame.{FrameReader, FrameScan}
import reprise.shim.program.{ActionSlots, Broadcasts, Epochs, Registry, RunTracker}

/**
 * What the shim keeps: a Spark session of its own (so that its SQL settings do not leak into the
 * user's), the values held for the driver, and the runs in progress. One per Spark application.
 */
final class ShimContext(parent: SparkSession, val onShutdown: () => Unit) {
  val spark: SparkContext = parent.sparkContext
  val registry = new Registry
  val broadcasts = new Broadcasts(spark)
  val epochs = new Epochs
  val runs = new RunTracker(spark)
  val actions = new ActionSlots(() => LiveSlots.of(spark))
  /** Random; another value means another shim, whose handles are unknown here. */
  val boot: String = {
    val bytes = new Array[Byte](16)
    new SecureRandom().nextBytes(bytes)
    bytes.map(byte => f"${byte & 0xff}%02x").mkString
  }

  /** Settings under which Spark SQL reads expressions most nearly as DuckDB does. */
  val session: SparkSession = {
    val own = parent.newSession()
    Map(
      // A path without a scheme is one that the driver has seen on its own disks, whatever the
      // cluster's default is.
      "fs.defaultFS" -> "file:///",
      "spark.sql.session.timeZone" -> "UTC",
      // Overflows and values that do not fit are errors, as in DuckDB, whatever the cluster says.
      "spark.sql.ansi.enabled" -> "true",
      "spark.sql.ansi.enforceReservedKeywords" -> "false",
      "spark.sql.ansi.doubleQuotedIdentifiers" -> "false",
      "spark.sql.parser.escapedStringLiterals" -> "false",
      "spark.sql.decimalOperations.allowPrecisionLoss" -> "true",
      // Old dates are what the file says, as DuckDB reads them.
      "spark.sql.parquet.datetimeRebaseModeInRead" -> "CORRECTED",
      "spark.sql.parquet.int96RebaseModeInRead" -> "CORRECTED",
      // Columns of one file may differ in case alone; `ColumnNames` looks names up as DuckDB does.
      "spark.sql.caseSensitive" -> "true",
      "spark.sql.legacy.parquet.nanosAsLong" -> "true",
      "spark.sql.legacy.timeParserPolicy" -> "CORRECTED",
      "spark.sql.files.openCostInBytes" -> (1 << 20).toString,
      "spark.sql.files.minPartitionNum" -> (2 * spark.defaultParallelism).toString
    ).foreach { case (key, value) => own.conf.set(key, value) }
    own
  }

  /** Runs `body` under this session's settings, which Spark takes from the thread while parsing. */
  def withSession[T](body: => T): T = {
    val before = SparkSession.getActiveSession
    SparkSession.setActiveSession(session)
    try body
    finally before.fold(SparkSession.clearActiveSession())(SparkSession.setActiveSession)
  }

  val reader = new FrameReader(session)
  val frames = new FrameScan(session, reader)
}

object ShimContext {
  @volatile private var instance: Option[ShimContext] = None

  /** The context of this JVM, over the active Spark session if the shim is a jar (Livy, submit). */
  def current: ShimContext = synchronized {
    instance.getOrElse {
      val session = SparkSession.getActiveSession
        .orElse(SparkSession.getDefaultSession)
        .getOrElse(SparkSession.builder().getOrCreate())
      install(new ShimContext(session, () => ()))
    }
  }

  def install(context: ShimContext): ShimContext = synchronized {
    instance = Some(context)
    context
  }
}
