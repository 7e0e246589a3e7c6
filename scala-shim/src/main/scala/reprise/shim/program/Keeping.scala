package reprise.shim.program

import org.apache.spark.storage.StorageLevel

import reprise.shim.protocol.ShimError

object Keeping {
  /** Values of one pass share an RDD: a level that is enough for each. Cutting needs a disk. */
  def level(keeps: Seq[Keep], mustCut: Boolean): StorageLevel = {
    val levels = keeps.map(_.level)
    StorageLevel(
      mustCut || levels.exists(_.useDisk), levels.exists(_.useMemory), levels.forall(_.deserialized),
      levels.map(_.replication).max)
  }
}

/** Tells a value whose stored partitions went with their executor from other failures. */
object LostValue {
  private val Block = """(?s).*[Cc]heckpoint block rdd_(\d+)_\d+ not found.*""".r

  /** `error`, or one of kind `lost` that names the handles when it is about one of these values. */
  def named(error: Throwable, read: Map[String, Held]): Throwable = {
    val texts = ShimError.chain(error).flatMap(cause => Option(cause.getMessage))
    texts.collectFirst { case Block(id) => id.toInt } match {
      case None => error
      case Some(id) =>
        val known = read.filter(_._2.owner.rdd.id == id).keys.toSeq
        // Its rows may come through another value that was not computed yet: then none of them can
        // be trusted.
        val handles = if (known.nonEmpty) known else read.keys.toSeq
        new ShimError(
          "lost",
          s"spark: expected kept row blocks to be there, got none for ${handles.size} values; an executor that held them has ended",
          Map("handles" -> handles.sorted.mkString(",")),
          error)
    }
  }
}
