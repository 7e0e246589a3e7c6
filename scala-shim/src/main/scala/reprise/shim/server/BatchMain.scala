package reprise.shim.server

import java.nio.charset.StandardCharsets.UTF_8

import org.apache.hadoop.fs.Path
import org.apache.spark.sql.SparkSession

import reprise.shim.{Fit, ShimContext}
import reprise.shim.protocol.Json

/**
 * Entry of the shim as an application of its own (a Livy batch, spark-submit), for clusters that
 * allow no sessions. Arguments: name, the driver's public key, `loopback` or `any`, seconds of the
 * lease, and a folder or `-`. All of them are for everybody to read, as is the line that says where
 * it listens: the token follows from neither. Invariant: it ends when its driver has been silent
 * for the length of the lease.
 */
object BatchMain {
  private val AnnounceMs = 3000L

  def main(args: Array[String]): Unit = {
    Fit.checkOrExit()
    if (args.length != 5) {
      System.err.println(s"shim: expected name, key, bind, lease and folder, got ${args.length} arguments")
      System.exit(2)
    }
    val Array(name, key, bind, lease, folder) = args
    val session = SparkSession.builder().getOrCreate()
    val ended = new java.util.concurrent.CountDownLatch(1)
    val context = ShimContext.install(new ShimContext(session, () => ended.countDown()))
    val address = new String(Json.write(DirectAccess.start(context, key, bind)), UTF_8)
    if (folder != "-") write(context, s"$folder/$name.address", address)
    val leaseSeconds = lease.toDouble
    var announcedMs = 0L
    while (!ended.await(200, java.util.concurrent.TimeUnit.MILLISECONDS) && DirectAccess.silenceSeconds < leaseSeconds) {
      // Livy keeps the last lines only, so the line is said again until the driver has come.
      if (!DirectAccess.wasCalled && System.currentTimeMillis() - announcedMs > AnnounceMs) {
        println(s"REPRISE-SHIM $name $address")
        announcedMs = System.currentTimeMillis()
      }
    }
    if (ended.getCount > 0) System.err.println(s"shim: no call for $lease seconds; ending")
    // After the answer to the request that asked for it had time to leave.
    Thread.sleep(100)
    DirectAccess.stop()
    session.stop()
    System.exit(0)
  }

  private def write(context: ShimContext, uri: String, text: String): Unit = {
    val target = new Path(uri)
    val files = target.getFileSystem(context.spark.hadoopConfiguration)
    val temporary = new Path(uri + ".part")
    val out = files.create(temporary, true)
    try out.write(text.getBytes(UTF_8))
    finally out.close()
    if (!files.rename(temporary, target)) throw new java.io.IOException(s"expected to write $uri, got a refused rename")
  }
}
