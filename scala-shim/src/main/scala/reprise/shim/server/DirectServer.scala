package reprise.shim.server

import java.net.{InetAddress, InetSocketAddress}
import java.util.concurrent.{LinkedBlockingQueue, ThreadPoolExecutor, TimeUnit}

import io.netty.bootstrap.ServerBootstrap
import io.netty.channel.{Channel, ChannelInitializer, ChannelOption}
import io.netty.channel.nio.NioEventLoopGroup
import io.netty.channel.socket.SocketChannel
import io.netty.channel.socket.nio.NioServerSocketChannel
import io.netty.handler.codec.http.HttpServerCodec
import io.netty.handler.ssl.SslHandler
import io.netty.util.concurrent.DefaultThreadFactory
import javax.net.ssl.SSLContext

import reprise.shim.ShimContext

/**
 * The direct channel: `POST /v1/call` with one frame as body, answered by one frame. With `tls` all
 * of it is encrypted. Invariants: a connection takes a thread only while a call that knew the token
 * is computed, and those are few; one that has not shown the token yet has a short time to do so
 * and few beside it (see `Strangers`).
 */
final class DirectServer(
    context: ShimContext,
    token: String,
    host: String,
    port: Int,
    maxBytes: Long,
    tls: Option[SSLContext] = None) {
  private val startedAt = System.nanoTime()
  @volatile private var calledAt = startedAt
  // No daemons: a process with nothing else to do waits for calls.
  private val loops = new NioEventLoopGroup(2, new DefaultThreadFactory("reprise-http", false))
  private val calls = {
    val pool = new ThreadPoolExecutor(
      DirectServer.Calls, DirectServer.Calls, 60, TimeUnit.SECONDS,
      new LinkedBlockingQueue[Runnable](), new DefaultThreadFactory("reprise-call", true))
    pool.allowCoreThreadTimeOut(true)
    pool
  }
  private val strangers = new Strangers
  @volatile private var listening: Channel = _

  def start(): Int = {
    val secret = new CallSecret(token, () => calledAt = System.nanoTime())
    val bootstrap = new ServerBootstrap()
      .group(loops)
      .channel(classOf[NioServerSocketChannel])
      .option[Integer](ChannelOption.SO_BACKLOG, 128)
      // Without it every answer waits 40 ms for the peer's delayed acknowledgement.
      .childOption[java.lang.Boolean](ChannelOption.TCP_NODELAY, true)
      .childOption[java.lang.Boolean](ChannelOption.SO_KEEPALIVE, true)
      .childHandler(new ChannelInitializer[SocketChannel] {
        def initChannel(channel: SocketChannel): Unit = {
          strangers.admit(channel)
          tls.foreach { ssl =>
            val engine = ssl.createSSLEngine()
            engine.setUseClientMode(false)
            channel.pipeline.addLast(new SslHandler(engine))
          }
          channel.pipeline.addLast(new HttpServerCodec(4096, 16384, 1 << 20))
          channel.pipeline.addLast(new CallHandler(context, secret, strangers, calls, maxBytes))
        }
      })
    listening = bootstrap.bind(new InetSocketAddress(InetAddress.getByName(host), port)).sync().channel
    listening.localAddress.asInstanceOf[InetSocketAddress].getPort
  }

  def stop(): Unit = {
    if (listening != null) listening.close()
    loops.shutdownGracefully(0, 1, TimeUnit.SECONDS)
    calls.shutdownNow()
  }

  def wasCalled: Boolean = calledAt != startedAt

  def silenceSeconds: Double = (System.nanoTime() - calledAt) / 1e9
}

private object DirectServer {
  /** Calls computed at a time; a driver keeps at most 16 connections. */
  val Calls = 32
}
