package reprise.shim.server

import java.io.{BufferedReader, InputStreamReader}
import java.nio.charset.StandardCharsets.UTF_8

import org.apache.spark.sql.SparkSession

import reprise.shim.{ShimContext, Version}
import reprise.shim.protocol.Json

/**
 * Entry of embedded Spark. The first line of standard input is the token; when the input ends, the driver is gone
 * and so are we. One line on standard output says where the shim listens; everything else goes to the log.
 * Spark's settings are Java system properties `spark.*`, as SparkConf reads them.
 */
object Main {
  def main(args: Array[String]): Unit = {
    val input = new BufferedReader(new InputStreamReader(System.in, UTF_8))
    val token = input.readLine()
    if (token == null || token.length < 32) {
      System.err.println("shim: expected a token of at least 32 characters as the first line of standard input")
      System.exit(2)
    }
    watch(input)
    // Only the announcement may use standard output.
    val announcements = System.out
    System.setOut(System.err)
    val session = SparkSession.builder().getOrCreate()
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
    // Loading native BLAS and the SQL classes takes a second that the first program need not wait for.
    val warm = new Thread(() => Warmup.run(context), "reprise-warmup")
    warm.setDaemon(true)
    warm.start()
  }

  /** Ends the process when the driver's end of the pipe closes, however the driver died. */
  private def watch(input: BufferedReader): Unit = {
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
