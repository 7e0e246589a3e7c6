package reprise.shim.verbs

import com.fasterxml.jackson.databind.JsonNode

import reprise.shim.ShimContext
import reprise.shim.frame.{FrameDescriber, FrameProfiler, FrameSource, ReadOptions}
import reprise.shim.protocol.{Json, Payload, Reply}
import reprise.shim.protocol.Json._

/** Columns and row counts of a frame's files. */
object DescribeFrame extends VerbHandler {
  val name = "describeFrame"
  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val given = Option(args.get("source")).filterNot(_.isNull).map(FrameSource.parse)
    val options = ReadOptions.parse(args.field("options"))
    Reply(new FrameDescriber(context).describe(args.textOption("path"), args.textOption("format"), options, given))
  }
}

/** What expressions look like over all rows. */
object ProfileFrame extends VerbHandler {
  val name = "profileFrame"
  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val profiles = Profiles.tracked(context, args)(_.profile(_, args.items("requests")))
    Reply(Json.obj("profiles" -> Json.arr(profiles)))
  }
}

/** The same for each file by itself. */
object ProfileFiles extends VerbHandler {
  val name = "profileFiles"
  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val files = Profiles.tracked(context, args)(_.profileFiles(_, args.items("requests")))
    Reply(Json.obj("files" -> Json.arr(files.map(profiles => Json.arr(profiles)))))
  }
}

private object Profiles {
  /** Profiles the source of a call as a run that can be cancelled. */
  def tracked[A](context: ShimContext, args: JsonNode)(profile: (FrameProfiler, FrameSource) => A): A = {
    val source = FrameSource.parse(args.field("source"))
    context.runs.track(args.text("run"))(profile(new FrameProfiler(context), source))._1
  }
}

/** What files in remote storage are now. */
object IdentifyFiles extends VerbHandler {
  val name = "identifyFiles"
  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    val digests = new FrameDescriber(context).identify(args.items("paths").map(_.asText))
    Reply(Json.obj("digests" -> Json.arr(digests.map(_.map(Json.str).getOrElse(Json.nul)))))
  }
}
