package reprise.shim.server

import java.io.InputStream
import java.net.{InetAddress, InetSocketAddress}
import java.nio.charset.StandardCharsets.UTF_8
import java.security.MessageDigest
import java.util.concurrent.{Executors, ThreadFactory}

import com.sun.net.httpserver.{HttpExchange, HttpHandler, HttpServer, HttpsConfigurator, HttpsServer}
import javax.net.ssl.SSLContext

import reprise.shim.ShimContext
import reprise.shim.protocol.Dispatcher

/**
 * The direct channel: `POST /v1/call` with one frame as body, answered by one frame. Every request carries the bearer
 * token, compared in constant time and before any of the body is read; bodies over the limit are refused unread. With
 * `tls` all of it is encrypted.
 */
final class DirectServer(
    context: ShimContext,
    token: String,
    host: String,
    port: Int,
    maxBytes: Long,
    tls: Option[SSLContext] = None) {
  // Without it every answer waits 40 ms for the peer's delayed acknowledgement. Read when the server class is loaded.
  System.setProperty("sun.net.httpserver.nodelay", "true")
  private val expected = digest(s"Bearer $token")
  private val startedAt = System.nanoTime()
  @volatile private var calledAt = startedAt
  private val server: HttpServer = {
    val address = new InetSocketAddress(InetAddress.getByName(host), port)
    tls match {
      case None => HttpServer.create(address, 64)
      case Some(ssl) =>
        val secured = HttpsServer.create(address, 64)
        secured.setHttpsConfigurator(new HttpsConfigurator(ssl))
        secured
    }
  }
  private val pool = Executors.newCachedThreadPool(new ThreadFactory {
    def newThread(work: Runnable): Thread = {
      val thread = new Thread(work, "reprise-call")
      thread.setDaemon(true)
      thread
    }
  })

  def start(): Int = {
    server.createContext("/v1/call", new HttpHandler {
      def handle(exchange: HttpExchange): Unit =
        try serve(exchange)
        finally exchange.close()
    })
    server.createContext("/v1/prove", new HttpHandler {
      def handle(exchange: HttpExchange): Unit =
        try prove(exchange)
        finally exchange.close()
    })
    server.setExecutor(pool)
    server.start()
    server.getAddress.getPort
  }

  def stop(): Unit = {
    server.stop(0)
    pool.shutdownNow()
  }

  def wasCalled: Boolean = calledAt != startedAt

  def silenceSeconds: Double = (System.nanoTime() - calledAt) / 1e9

  /** Answers a driver that must know who we are before it says the token. */
  private def prove(exchange: HttpExchange): Unit = {
    val challenge = new Array[Byte](64)
    val length = math.max(0, exchange.getRequestBody.read(challenge))
    val proof = KeyAgreement.prove(token, challenge.take(length)).getBytes(UTF_8)
    exchange.sendResponseHeaders(200, proof.length.toLong)
    exchange.getResponseBody.write(proof)
  }

  private def serve(exchange: HttpExchange): Unit = {
    val given = Option(exchange.getRequestHeaders.getFirst("Authorization")).getOrElse("")
    val length = Option(exchange.getRequestHeaders.getFirst("Content-Length")).flatMap(text =>
      scala.util.Try(text.toLong).toOption)
    if (!MessageDigest.isEqual(expected, digest(given))) refuse(exchange, 401, "expected a valid bearer token")
    else if (exchange.getRequestMethod != "POST") refuse(exchange, 405, "expected POST")
    else if (length.isEmpty) refuse(exchange, 411, "expected Content-Length")
    else if (length.get > maxBytes) {
      refuse(exchange, 413, s"expected at most $maxBytes bytes, got ${length.get}")
    } else {
      calledAt = System.nanoTime()
      val frame = Dispatcher.handle(context, readFully(exchange.getRequestBody, length.get.toInt))
      exchange.getResponseHeaders.set("Content-Type", "application/octet-stream")
      exchange.sendResponseHeaders(200, 0)
      val out = new java.io.BufferedOutputStream(exchange.getResponseBody, 1 << 16)
      frame.writeTo(out)
      out.close()
    }
  }

  private def readFully(in: InputStream, length: Int): Array[Byte] = {
    val bytes = new Array[Byte](length)
    var at = 0
    while (at < length) {
      val count = in.read(bytes, at, length - at)
      if (count < 0) throw new java.io.EOFException(s"expected $length bytes, got $at")
      at += count
    }
    bytes
  }

  private def refuse(exchange: HttpExchange, status: Int, why: String): Unit = {
    val body = why.getBytes(UTF_8)
    // What the caller still sends is not read: the connection ends with this answer.
    exchange.getResponseHeaders.set("Connection", "close")
    exchange.sendResponseHeaders(status, body.length.toLong)
    exchange.getResponseBody.write(body)
  }

  /** Digests have one length, so comparing them tells nothing about the token's. */
  private def digest(text: String): Array[Byte] = MessageDigest.getInstance("SHA-256").digest(text.getBytes(UTF_8))
}
