package reprise.shim.verbs

import com.fasterxml.jackson.databind.JsonNode

import reprise.shim.ShimContext
import reprise.shim.protocol.{Payload, Reply}
import reprise.shim.protocol.Json._
import reprise.shim.server.DirectAccess

/** Opens the direct channel beside the one this call came by; the token is agreed on, not sent. */
object OpenDirect extends VerbHandler {
  val name = "openDirect"
  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply =
    Reply(DirectAccess.start(context, args.text("key"), args.text("bind")))
}

/** Closes it again. */
object CloseDirect extends VerbHandler {
  val name = "closeDirect"
  def handle(context: ShimContext, args: JsonNode, payloads: IndexedSeq[Payload]): Reply = {
    DirectAccess.stop()
    Reply(reprise.shim.protocol.Json.obj())
  }
}
