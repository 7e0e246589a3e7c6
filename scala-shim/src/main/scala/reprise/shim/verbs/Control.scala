package reprise.shim.verbs

import com.fasterxml.jackson.databind.JsonNode

import org.apache.spark.reprise.BlockStore

import reprise.shim.{ShimContext, Version}
import reprise.shim.block.Blas
import reprise.shim.ops.BlockOps
import reprise.shim.protocol.{Json, Payload, Reply}
import reprise.shim.protocol.Json._

object Ping extends VerbHandler {
  val name = "ping"
  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply =
    Reply(Json.obj("boot" -> Json.str(context.boot)))
}

object Hello extends VerbHandler {
  val name = "hello"
  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = Reply(
    Json.obj(
      "shim" -> Json.str(Version.shim),
      "protocol" -> Json.int(Version.protocol),
      "boot" -> Json.str(context.boot),
      "spark" -> Json.str(context.spark.version),
      "scala" -> Json.str(scala.util.Properties.versionNumberString),
      "java" -> Json.str(System.getProperty("java.version")),
      "applicationId" -> Json.str(context.spark.applicationId),
      "master" -> Json.str(context.spark.master),
      "parallelism" -> Json.int(context.spark.defaultParallelism),
      "storageMemoryBytes" -> Json.int(Storage.executors(context).values.map(_._1).sum),
      "blas" -> Json.str(Blas.blas.getClass.getSimpleName),
      "nativeBlas" -> Json.bool(Blas.isNative),
      "ops" -> Json.arr(("encode" +: BlockOps.all.map(_.name)).sorted.map(Json.str))))
}

object Status extends VerbHandler {
  val name = "status"
  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val storage = context.spark.getRDDStorageInfo.map(info => info.id -> info).toMap
    val executors = context.spark.getExecutorMemoryStatus.toSeq.sortBy(_._1)
    val (running, waiting) = context.actions.counts
    Reply(
      Json.obj(
        "executors" -> Json.arr(executors.map { case (id, (total, free)) =>
          Json.obj(
            "id" -> Json.str(id),
            "storageMemoryBytes" -> Json.int(total),
            "storageUsedBytes" -> Json.int(total - free))
        }),
        "handles" -> Json.arr(context.registry.handles.toSeq.sortBy(_._1).map { case (handle, held) =>
          val info = storage.get(held.owner.rdd.id)
          val node = HeldJson(handle, held)
          node.set[JsonNode]("materialised", Json.bool(info.exists(i => i.numCachedPartitions == i.numPartitions)))
          node.set[JsonNode]("storedBytes", Json.int(info.map(i => i.memSize + i.diskSize).getOrElse(0L)))
          node
        }),
        "broadcasts" -> Json.arr(context.registry.broadcasts.map(Json.str)),
        "runs" -> Json.arr(context.runs.progress.toSeq.sortBy(_._1).map { case (run, progress) =>
          Json.obj("run" -> Json.str(run), "progress" -> Json.num(progress))
        }),
        "actions" -> Json.obj(
          "limit" -> Json.int(context.actions.limit),
          "running" -> Json.int(running),
          "waiting" -> Json.int(waiting)),
        "sparkJobs" -> Json.int(context.runs.jobs),
        "bytesRead" -> Json.int(context.runs.bytesRead),
        "numberFiles" -> Json.int(context.frames.numberFiles)))
  }
}

/**
 * What is stored where, by Spark's own account: cheaper than `Status`, since it waits for no event.
 * The driver's own storage counts only where it is all there is (a local master).
 */
object Storage extends VerbHandler {
  val name = "storage"

  /** Most and free bytes of each. */
  def executors(context: ShimContext): scala.collection.Map[String, (Long, Long)] = {
    val all = context.spark.getExecutorMemoryStatus
    val others = all - BlockStore.driverAddress
    if (others.isEmpty) all else others
  }

  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val counted = executors(context)
    val rdds = context.spark.getRDDStorageInfo.map(info => info.id -> info).toMap
    // Values of one RDD share what it stores; the first one is charged for all of it.
    val charged = scala.collection.mutable.Set[Int]()
    val handles = context.registry.handles.toSeq.sortBy(_._1).map { case (handle, held) =>
      val info = rdds.get(held.owner.rdd.id)
      val isFirst = charged.add(held.owner.rdd.id)
      Json.obj(
        "handle" -> Json.str(handle),
        "memoryBytes" -> Json.int(info.filter(_ => isFirst).map(_.memSize).getOrElse(0L)),
        "diskBytes" -> Json.int(info.filter(_ => isFirst).map(_.diskSize).getOrElse(0L)),
        "materialised" -> Json.bool(info.exists(i => i.numCachedPartitions == i.numPartitions)))
    }
    Reply(
      Json.obj(
        "memoryBytes" -> Json.int(counted.values.map(_._1).sum),
        "usedBytes" -> Json.int(counted.values.map { case (total, free) => total - free }.sum),
        "persistentRdds" -> Json.int(context.spark.getPersistentRDDs.size),
        "liveBroadcasts" -> Json.int(context.broadcasts.stored),
        "handles" -> Json.arr(handles)))
  }
}

object Cancel extends VerbHandler {
  val name = "cancel"
  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply =
    Reply(Json.obj("cancelled" -> Json.bool(context.runs.cancel(args.text("run")))))
}

object Shutdown extends VerbHandler {
  val name = "shutdown"
  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    context.onShutdown()
    Reply(Json.obj("stopping" -> Json.bool(true)))
  }
}
