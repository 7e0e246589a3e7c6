package reprise.shim.verbs

import java.io.{BufferedInputStream, File, FileInputStream}
import java.security.MessageDigest

import com.fasterxml.jackson.databind.JsonNode

import org.apache.spark.reprise.Executors

import reprise.shim.ShimContext
import reprise.shim.block.{Blas, ShippedBlas}
import reprise.shim.protocol.{Json, Payload, Reply}
import reprise.shim.protocol.Json._

/** A file as the driver's machine has it. */
final case class KnownFile(path: String, bytes: Long, modifiedMs: Long, digest: String)

/** What one JVM found. `lacking` is a file by its position and what is there instead. */
final case class Site(executor: String, host: String, blas: String, isNative: Boolean, lacking: Seq[(Int, String)])

/**
 * What the driver of Spark and each executor have: the BLAS of their kernels, and whether files
 * named by paths of the machine we were started from are the same there. Executors that took
 * another's place since are looked at only.
 */
object SurveyExecutors extends VerbHandler {
  val name = "survey"

  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val files = args.items("files").map { file =>
      KnownFile(file.text("path"), file.long("bytes"), file.long("modifiedMs"), file.text("digest"))
    }.toVector
    val known = args.items("known").map(_.asText).toSet
    val (sites, _) = context.runs.track(args.text("run"))(driver(context, files, known) ++ executors(context, files, known))
    Reply(Json.obj(
      "sites" -> Json.arr(sites.map { site =>
        Json.obj(
          "executor" -> Json.str(site.executor),
          "host" -> Json.str(site.host),
          "blas" -> Json.str(site.blas),
          "nativeBlas" -> Json.bool(site.isNative),
          "lacking" -> Json.arr(site.lacking.map { case (file, got) =>
            Json.obj("file" -> Json.int(file), "got" -> Json.str(got))
          }))
      })))
  }

  private def driver(context: ShimContext, files: Vector[KnownFile], known: Set[String]): Seq[Site] =
    if (known(Executors.own.executorId)) Nil else Seq(look(files))

  private def executors(context: ShimContext, files: Vector[KnownFile], known: Set[String]): Seq[Site] = {
    val spark = context.spark
    if (spark.isLocal) Nil
    else {
      // The first job brings the first executors, where they come on demand.
      if (Executors.of(spark).isEmpty) spark.parallelize(0 until 2, 2).count()
      val fresh = Executors.of(spark).filterNot(executor => known(executor.executorId))
      if (fresh.isEmpty) Nil
      else {
        val tasks = fresh.map(executor => (executor.executorId, Seq(Executors.preference(executor))))
        val found = spark.makeRDD(tasks).mapPartitions(_.map(_ => look(files))).collect().toSeq
        found.groupBy(_.executor).values.map(_.head).toSeq.sortBy(_.executor)
      }
    }
  }

  private def look(files: Vector[KnownFile]): Site = {
    val own = Executors.own
    val lacking = files.zipWithIndex.flatMap { case (file, i) => difference(file).map(i -> _) }
    Site(own.executorId, own.host, ShippedBlas.describe, Blas.isNative, lacking)
  }

  /** Length and time tell a file that is shared; a copy is read. */
  private def difference(file: KnownFile): Option[String] = {
    val found = new File(file.path)
    if (!found.exists) Some("nothing there")
    else if (!found.isFile) Some("no file there")
    else if (!found.canRead) Some("one it may not read")
    else if (found.length != file.bytes) Some(s"one of ${found.length} bytes instead of ${file.bytes}")
    else if (found.lastModified != file.modifiedMs && digest(found) != file.digest) Some("one with other content")
    else None
  }

  private def digest(file: File): String = {
    val sha = MessageDigest.getInstance("SHA-256")
    val in = new BufferedInputStream(new FileInputStream(file), 1 << 20)
    try {
      val buffer = new Array[Byte](1 << 20)
      Iterator.continually(in.read(buffer)).takeWhile(_ >= 0).foreach(count => sha.update(buffer, 0, count))
    } finally in.close()
    sha.digest().map(byte => f"${byte & 0xff}%02x").mkString
  }
}
