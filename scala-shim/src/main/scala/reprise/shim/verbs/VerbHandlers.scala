package reprise.shim.verbs

import com.fasterxml.jackson.databind.JsonNode

import reprise.shim.ShimContext
import reprise.shim.protocol.{Payload, Reply}

/** One verb of the shim; arguments and answers are typed in `spark-bridge/channel/wire.ts`. */
trait VerbHandler {
  def name: String
  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply
}

object VerbHandlers {
  val all: Seq[VerbHandler] = Seq(
    Ping, Hello, RunProgram, Collect, Persist, Unpersist, MakeBroadcast, DestroyBroadcast, Status, Storage, Cancel,
    DescribeFrame, ProfileFrame, ProfileFiles, IdentifyFiles, OpenDirect, CloseDirect, WriteMatrix, AggregateMatrix, QuerySql, SurveyExecutors,
    Shutdown)

  val byName: Map[String, VerbHandler] = all.map(verb => verb.name -> verb).toMap
}
