package reprise.shim.server

import java.io.{BufferedReader, InputStreamReader}
import java.nio.charset.StandardCharsets.UTF_8

import scala.collection.JavaConverters._

import org.apache.spark.sql.SparkSession

import reprise.shim.{Fit, ShimContext, Version}
import reprise.shim.block.ShippedBlas
import reprise.shim.protocol.Json
import reprise.shim.protocol.Json._

/**
 * Entry of embedded Spark, and of `spark-submit` in client mode. The first line of standard input
 * is `{"token", "conf"}`: settings may hold secrets too, and a command line is there for all to
 * read. When the input ends, the driver is gone and so are we. One line on standard output says
 * where the shim listens; everything else goes to the log.
 */
object Main {
  def main(args: Array[String]): Unit = {
    Fit.checkOrExit()
    val input = new BufferedReader(new InputStreamReader(System.in, UTF_8))
    val token = configure(input.readLine())
    val driver = watch(input)
    // Only the announcement may use standard output.
    val announcements = System.out
    System.setOut(System.err)
    val session = SparkSession.builder().getOrCreate()
    ShippedBlas.ship(session.sparkContext)
    var server: DirectServer = null
    val context = ShimContext.install(new ShimContext(session, () => later(end(session, server))))
    val maxBytes = Option(System.getProperty("reprise.maxRequestBytes")).map(_.toLong).getOrElse(2147483000L)
    server = new DirectServer(context, token, "127.0.0.1", 0, maxBytes)
    val port = server.start()
    val line = Json.obj(
      "port" -> Json.int(port),
      "boot" -> Json.str(context.boot),
      "protocol" -> Json.int(Version.protocol))
    announcements.println("REPRISE-SHIM " + new String(Json.write(line), UTF_8))
    announcements.flush()
    // Loading native BLAS and the SQL classes takes a second that the first program need not wait
    // for.
    val warm = new Thread(() => Warmup.run(context), "reprise-warmup")
    warm.setDaemon(true)
    warm.start()
    // `spark-submit` stops Spark on Kubernetes when this method returns.
    driver.join()
  }

  /** Sets Spark's settings, and returns the token. */
  private def configure(line: String): String = {
    val start = Option(line).map { text =>
      val bytes = text.getBytes(UTF_8)
      Json.parse(bytes, 0, bytes.length)
    }
    val token = start.flatMap(_.textOption("token")).filter(_.length >= 32)
    if (token.isEmpty) {
      System.err.println("shim: expected a token of at least 32 characters in the first line of standard input")
      System.exit(2)
    }
    start.get.field("conf").fields().asScala.foreach { setting =>
      System.setProperty(setting.getKey, setting.getValue.asText)
    }
    token.get
  }

  /** Ends the process when the driver's end of the pipe closes, however the driver died. */
  private def watch(input: BufferedReader): Thread = {
    val thread = new Thread(
      () => {
        try while (input.readLine() != null) {}
        catch { case _: java.io.IOException => }
        // `halt` because shutdown hooks may wait for the very work that nobody needs any more.
        val guard = new Thread(() => { Thread.sleep(3000); Runtime.getRuntime.halt(0) })
        guard.setDaemon(true)
        guard.start()
        System.exit(0)
      },
      "reprise-watch-driver")
    thread.setDaemon(true)
    thread.start()
    thread
  }

  private def end(session: SparkSession, server: DirectServer): Unit = {
    if (server != null) server.stop()
    session.stop()
    System.exit(0)
  }

  /** After the answer to the request that asked for it had time to leave. */
  private def later(action: => Unit): Unit =
    new Thread(() => { Thread.sleep(50); action }, "reprise-end").start()
}
