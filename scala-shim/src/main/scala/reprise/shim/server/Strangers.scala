package reprise.shim.server

import java.security.MessageDigest
import java.nio.charset.StandardCharsets.UTF_8
import java.util.concurrent.TimeUnit

import scala.collection.mutable

import io.netty.channel.Channel

/**
 * Connections that have not shown the token yet. Invariants: at most `Most` are open, the oldest
 * goes for a new one, so that a driver, which shows the token at once, always gets in; and none
 * stays longer than `Seconds`.
 */
final class Strangers {
  private val open = mutable.LinkedHashSet.empty[Channel]

  def admit(channel: Channel): Unit = {
    val oldest = synchronized {
      open += channel
      if (open.size > Strangers.Most) open.headOption else None
    }
    oldest.foreach(_.close())
    channel.closeFuture.addListener((_: io.netty.util.concurrent.Future[_ >: Void]) => leave(channel))
    channel.eventLoop.schedule(new Runnable {
      def run(): Unit = if (isStranger(channel)) channel.close()
    }, Strangers.Seconds, TimeUnit.SECONDS)
  }

  /** It has shown the token, or is closed. */
  def leave(channel: Channel): Unit = synchronized { open -= channel }

  private def isStranger(channel: Channel): Boolean = synchronized(open.contains(channel))
}

private object Strangers {
  val Most = 64
  val Seconds = 10L
}

/** The bearer token; `onCall` is told when somebody knew it. */
final class CallSecret(val token: String, onCall: () => Unit) {
  private val expected = digest(s"Bearer $token")

  def isKnown(header: String): Boolean = {
    val known = MessageDigest.isEqual(expected, digest(Option(header).getOrElse("")))
    if (known) onCall()
    known
  }

  /** Digests have one length, so comparing them tells nothing about the token's. */
  private def digest(text: String): Array[Byte] = MessageDigest.getInstance("SHA-256").digest(text.getBytes(UTF_8))
}
