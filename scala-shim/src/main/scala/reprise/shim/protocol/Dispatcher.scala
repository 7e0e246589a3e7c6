package reprise.shim.protocol

import java.io.{ByteArrayOutputStream, PrintWriter, StringWriter}

import com.fasterxml.jackson.databind.node.ObjectNode
import org.apache.spark.{SparkException, TaskKilledException}

import Json._
import reprise.shim.ShimContext
import reprise.shim.frame.DataFaults
import reprise.shim.verbs.VerbHandlers

/** What a verb answers. */
final case class Reply(result: ObjectNode, payloads: IndexedSeq[Payload] = Vector.empty)

/**
 * The one door into the shim, whatever channel the frame came by: bytes in, a frame out, and never
 * an exception: every failure becomes an `error` in the reply.
 */
object Dispatcher {

  def handle(request: Array[Byte]): Frame = handle(ShimContext.current, request)

  /** As `handle`, with the answer as bytes; for channels that carry no stream. */
  def handleBytes(request: Array[Byte]): Array[Byte] = {
    val out = new ByteArrayOutputStream()
    handle(request).writeTo(out)
    out.toByteArray
  }

  def handle(context: ShimContext, request: Array[Byte]): Frame = {
    var id = ""
    try {
      val frame = Frame.decode(request)
      id = frame.header.text("id")
      val verb = frame.header.text("verb")
      val handler = VerbHandlers.byName.getOrElse(
        verb,
        throw ShimError.unsupported(
          s"shim: expected one of ${VerbHandlers.byName.keys.toSeq.sorted.mkString(", ")}, got `$verb`"))
      val reply = context.withSession(handler.handle(context, frame.header.field("args"), frame.payloads))
      answer(id, reply.result, Json.nul, reply.payloads)
    } catch {
      case error: Throwable => answer(id, Json.nul, describe(error), Vector.empty)
    }
  }

  private def answer(
      id: String,
      result: com.fasterxml.jackson.databind.JsonNode,
      error: com.fasterxml.jackson.databind.JsonNode,
      payloads: IndexedSeq[Payload]): Frame =
    new Frame(Json.obj("id" -> Json.str(id), "result" -> result, "error" -> error), payloads)

  private def describe(error: Throwable): ObjectNode = {
    val (kind, message, facts) = ShimError.find(error) match {
      case Some(own) => (own.kind, own.getMessage, own.facts)
      case None => classify(error)
    }
    Json.obj(
      "kind" -> Json.str(kind),
      "message" -> Json.str(message),
      "facts" -> Json.obj(facts.toSeq.map { case (name, value) => name -> Json.str(value) }: _*),
      "trace" -> Json.str(trace(error)))
  }

  private def classify(error: Throwable): (String, String, Map[String, String]) = {
    val causes = ShimError.chain(error).toVector
    val root = causes.last
    val isStopping = causes.exists { cause =>
      val text = Option(cause.getMessage).getOrElse("")
      text.contains("SparkContext was shut down") || text.contains("stopped SparkContext")
    }
    val isCancelled = causes.exists {
      case _: TaskKilledException | _: InterruptedException => true
      case spark: SparkException => Option(spark.getMessage).exists(_.contains("cancelled"))
      case _ => false
    }
    if (isStopping) {
      ("lost", "spark: expected the Spark application to run, got its end", Map("reason" -> "stopping"))
    } else if (isCancelled) ("cancelled", "spark: expected the run to end, got a cancellation", Map.empty)
    else if (causes.exists(_.isInstanceOf[OutOfMemoryError])) {
      (
        "resource",
        "spark: expected enough heap, got an OutOfMemoryError; give the Spark JVM more memory or cache less",
        Map("resource" -> "heap"))
    } else if (DataFaults.isOfData(error)) {
      ("data", s"data: expected readable values that fit their expressions, got ${DataFaults.text(error)}", Map.empty)
    } else {
      val text = Option(root.getMessage).getOrElse("").linesIterator.take(4).mkString(" ")
      ("execution", s"spark: expected the run to succeed, got ${root.getClass.getSimpleName}: $text", Map.empty)
    }
  }

  private def trace(error: Throwable): String = {
    val text = new StringWriter()
    error.printStackTrace(new PrintWriter(text, true))
    text.toString.take(8000)
  }
}
