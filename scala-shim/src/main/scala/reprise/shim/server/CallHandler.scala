package reprise.shim.server

import java.io.{ByteArrayOutputStream, IOException, OutputStream}
import java.nio.charset.StandardCharsets.UTF_8
import java.util.concurrent.Executor

import scala.util.Try

import io.netty.buffer.{ByteBuf, Unpooled}
import io.netty.channel.{Channel, ChannelFuture, ChannelFutureListener, ChannelHandlerContext, SimpleChannelInboundHandler}
import io.netty.channel.socket.DuplexChannel
import io.netty.handler.codec.DecoderException
import io.netty.handler.codec.http._

import reprise.shim.ShimContext
import reprise.shim.protocol.Dispatcher

/**
 * One connection of the direct channel. Invariants: the bearer token is compared in constant time
 * and before any of the body is read; bodies over the limit are refused unread; while a call is
 * computed nothing more is read.
 */
final class CallHandler(
    context: ShimContext, secret: CallSecret, strangers: Strangers, calls: Executor, maxBytes: Long)
    extends SimpleChannelInboundHandler[HttpObject] {
  private var body: Body = CallHandler.NoBody
  private var isRefused = false

  override def channelRead0(handler: ChannelHandlerContext, message: HttpObject): Unit = message match {
    case _ if isRefused =>
    case broken if broken.decoderResult.isFailure => refuse(handler, HttpResponseStatus.BAD_REQUEST, "expected HTTP")
    case request: HttpRequest => begin(handler, request)
    case content: HttpContent =>
      if (!body.take(content.content)) handler.close()
      else if (content.isInstanceOf[LastHttpContent]) {
        val whole = body
        body = CallHandler.NoBody
        whole.end()
      }
    case _ =>
  }

  private def begin(handler: ChannelHandlerContext, request: HttpRequest): Unit = {
    body = CallHandler.NoBody
    request.uri match {
      case "/v1/call" => beginCall(handler, request)
      case "/v1/prove" => body = new Challenge(handler)
      case _ => refuse(handler, HttpResponseStatus.NOT_FOUND, "expected /v1/call")
    }
  }

  private def beginCall(handler: ChannelHandlerContext, request: HttpRequest): Unit = {
    val length = Option(request.headers.get(HttpHeaderNames.CONTENT_LENGTH)).flatMap(text => Try(text.toLong).toOption)
    if (!secret.isKnown(request.headers.get(HttpHeaderNames.AUTHORIZATION))) {
      refuse(handler, HttpResponseStatus.UNAUTHORIZED, "expected a valid bearer token")
    } else if (request.method != HttpMethod.POST) {
      refuse(handler, HttpResponseStatus.METHOD_NOT_ALLOWED, "expected POST")
    } else if (!length.exists(_ >= 0)) {
      refuse(handler, HttpResponseStatus.LENGTH_REQUIRED, "expected Content-Length")
    } else if (length.get > maxBytes) {
      refuse(
        handler, HttpResponseStatus.REQUEST_ENTITY_TOO_LARGE, s"expected at most $maxBytes bytes, got ${length.get}")
    } else {
      strangers.leave(handler.channel)
      if (HttpUtil.is100ContinueExpected(request)) {
        handler.writeAndFlush(new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.CONTINUE))
      }
      body = new Call(handler.channel, length.get.toInt, HttpUtil.isKeepAlive(request))
    }
  }

  /**
   * The connection ends with this answer. What the caller still sends is dropped until it has read
   * the answer or its time is over: closing at once would take the answer back.
   */
  private def refuse(handler: ChannelHandlerContext, status: HttpResponseStatus, why: String): Unit = {
    isRefused = true
    val answer = new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, status, Unpooled.copiedBuffer(why, UTF_8))
    answer.headers.set(HttpHeaderNames.CONNECTION, HttpHeaderValues.CLOSE)
    HttpUtil.setContentLength(answer, answer.content.readableBytes.toLong)
    val close: ChannelFutureListener = _ => handler.channel.asInstanceOf[DuplexChannel].shutdownOutput()
    handler.writeAndFlush(answer).addListener(close)
  }

  /** Whoever hung up or speaks no TLS is told nothing; anything else is a fault of ours. */
  override def exceptionCaught(handler: ChannelHandlerContext, cause: Throwable): Unit = {
    handler.close()
    cause match {
      case _: IOException | _: DecoderException =>
      case _ => System.err.println(s"shim: a connection ended by $cause"); cause.printStackTrace()
    }
  }

  /** A driver that must know who we are before it says the token. */
  private final class Challenge(handler: ChannelHandlerContext) extends Body {
    private val bytes = new ByteArrayOutputStream()

    def take(part: ByteBuf): Boolean = {
      part.getBytes(part.readerIndex, bytes, part.readableBytes)
      bytes.size <= 64
    }

    def end(): Unit = {
      val proof = KeyAgreement.prove(secret.token, bytes.toByteArray)
      val answer = new DefaultFullHttpResponse(
        HttpVersion.HTTP_1_1, HttpResponseStatus.OK, Unpooled.copiedBuffer(proof, UTF_8))
      HttpUtil.setContentLength(answer, answer.content.readableBytes.toLong)
      handler.writeAndFlush(answer)
    }
  }

  private final class Call(channel: Channel, length: Int, keepAlive: Boolean) extends Body {
    private val bytes = new Array[Byte](length)
    private var at = 0

    def take(part: ByteBuf): Boolean = {
      val count = part.readableBytes
      if (count > length - at) false
      else {
        part.readBytes(bytes, at, count)
        at += count
        true
      }
    }

    def end(): Unit =
      if (at < length) channel.close()
      else {
        channel.config.setAutoRead(false)
        calls.execute(() => answer())
      }

    private def answer(): Unit =
      try {
        val frame = Dispatcher.handle(context, bytes)
        val response = new DefaultHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.OK)
        response.headers.set(HttpHeaderNames.CONTENT_TYPE, "application/octet-stream")
        HttpUtil.setTransferEncodingChunked(response, true)
        channel.write(response)
        val out = new ChannelOutput(channel)
        frame.writeTo(out)
        out.flush()
        val last = channel.writeAndFlush(LastHttpContent.EMPTY_LAST_CONTENT)
        if (keepAlive) channel.config.setAutoRead(true)
        else last.addListener(ChannelFutureListener.CLOSE)
      } catch {
        // An answer that was begun can't be taken back.
        case error: Throwable =>
          channel.close()
          if (!error.isInstanceOf[IOException]) throw error
      }
  }
}

/** Takes the parts of a request's body; false ends the connection. */
private trait Body {
  def take(part: ByteBuf): Boolean
  def end(): Unit
}

private object CallHandler {
  /** What follows a refused request. */
  object NoBody extends Body {
    def take(part: ByteBuf): Boolean = true
    def end(): Unit = ()
  }
}

/** Writes chunks to a connection, waiting while its reader is behind. */
private final class ChannelOutput(channel: Channel) extends OutputStream {
  private var part: ByteBuf = _
  private var last: ChannelFuture = _

  override def write(byte: Int): Unit = write(Array(byte.toByte), 0, 1)

  override def write(bytes: Array[Byte], offset: Int, length: Int): Unit = {
    var at = offset
    while (at < offset + length) {
      if (part == null) part = channel.alloc.ioBuffer(ChannelOutput.Bytes, ChannelOutput.Bytes)
      val count = math.min(part.writableBytes, offset + length - at)
      part.writeBytes(bytes, at, count)
      at += count
      if (!part.isWritable) send()
    }
  }

  override def flush(): Unit = if (part != null) send()

  private def send(): Unit = {
    // One part is on its way while the next is filled.
    if (last != null && !last.await().isSuccess) {
      part.release()
      throw new IOException("the connection is closed")
    }
    val full = part
    part = null
    last = channel.writeAndFlush(new DefaultHttpContent(full))
  }
}

private object ChannelOutput {
  val Bytes: Int = 1 << 18
}
