package reprise.shim.server

import java.net.{InetAddress, NetworkInterface}
import java.util.Base64

import scala.collection.JavaConverters._
import scala.util.Try

import com.fasterxml.jackson.databind.node.ObjectNode

import reprise.shim.{ShimContext, Version}
import reprise.shim.protocol.{Json, ShimError}

/**
 * Opens the direct channel in a Spark driver that was started by others (Livy, spark-submit) and
 * says where it is; nothing in the answer is secret. Invariants: one server a shim; opening another
 * closes the one before, whose driver is gone; what listens beyond loopback speaks TLS only, under
 * the certificate that the answer holds.
 */
object DirectAccess {
  private val MaxBytes = 2147483000L
  private var open: Option[DirectServer] = None

  /** @param bind `loopback` or `any` */
  def start(context: ShimContext, theirKey: String, bind: String): ObjectNode = synchronized {
    val host = bind match {
      case "loopback" => "127.0.0.1"
      case "any" => "0.0.0.0"
      case other => throw new ShimError("config", s"shim: expected to listen on loopback or any, got `$other`")
    }
    val agreed = KeyAgreement.agree(theirKey)
    val identity = if (host == "0.0.0.0") Some(SelfSigned.create()) else None
    stop()
    val server = new DirectServer(context, agreed.token, host, 0, MaxBytes, identity.map(_.context))
    val port = server.start()
    open = Some(server)
    Json.obj(
      "key" -> Json.str(agreed.publicKey),
      "port" -> Json.int(port),
      "certificate" -> Json.str(identity.map(it => Base64.getEncoder.encodeToString(it.certificate)).orNull),
      "hosts" -> Json.arr(addresses(context, host).map(Json.str)),
      "boot" -> Json.str(context.boot),
      "protocol" -> Json.int(Version.protocol))
  }

  def stop(): Unit = synchronized {
    open.foreach(_.stop())
    open = None
  }

  /** Time since the last call that knew the token, or since the start. @return seconds */
  def silenceSeconds: Double = synchronized(open.map(_.silenceSeconds).getOrElse(Double.MaxValue))

  /** Whether a driver that knows the token has called. */
  def wasCalled: Boolean = synchronized(open.exists(_.wasCalled))

  /** Where a driver may reach us, best first: as executors do, then all addresses here. */
  private def addresses(context: ShimContext, host: String): Seq[String] =
    if (host != "0.0.0.0") Seq(host)
    else {
      val ofSpark = context.spark.getConf.getOption("spark.driver.host").toSeq
      val own = Try(NetworkInterface.getNetworkInterfaces.asScala.toSeq).getOrElse(Nil)
        .filter(card => Try(card.isUp).getOrElse(false))
        .flatMap(_.getInetAddresses.asScala)
        .filterNot(_.isLinkLocalAddress)
        .sortBy(_.isLoopbackAddress)
        .map(_.getHostAddress.takeWhile(_ != '%'))
      (ofSpark ++ Try(InetAddress.getLocalHost.getHostName).toOption ++ own).distinct.take(32)
    }
}
