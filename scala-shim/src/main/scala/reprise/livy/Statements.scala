package reprise.livy

import java.io.{ByteArrayInputStream, ByteArrayOutputStream, DataInputStream, EOFException, InputStream}
import java.nio.charset.StandardCharsets.UTF_8
import java.security.MessageDigest
import java.util.Base64
import java.util.zip.{Deflater, DeflaterOutputStream, InflaterInputStream}

import scala.collection.mutable

import org.apache.hadoop.fs.{FileSystem, Path}

import reprise.shim.{Fit, ShimContext}
import reprise.shim.protocol.Dispatcher

/** The shim's door for Livy statements. */
object Statements {
  /** Called by the one line of Scala the driver sends. Prints and returns nothing else. */
  def run(argument: String): Unit = {
    Fit.check()
    StatementRequests.run(argument)
  }
}

/**
 * What statements ask for; argument and printed lines are stated in
 * `spark-bridge/livy/statement-code.ts`. A statement only starts, awaits and forgets requests,
 * which run on threads of their own. Invariant: a request is executed once, however often its
 * statement runs; what is printed stays under Livy's limit of 50 MiB a message.
 */
object StatementRequests {
  private val Protocol = 1
  private val IdBytes = 18
  /** Characters of results in one statement. Livy refuses driver messages over 50 MiB. */
  private val PrintLimit = 48L << 20
  private val LineBytes = 48 * 1024
  private val CompressBelow = 8 << 20
  private val Remembered = 20000
  /** What ends together is reported together. */
  private val LingerMs = 20L

  private final class Held {
    var result: Option[Either[String, Array[Byte]]] = None
  }
  private final case class Packed(encoding: Int, rawLength: Int, digest: Array[Byte])

  /** Guards all state; workers notify it. */
  private val lock = new Object
  private val held = mutable.Map.empty[String, Held]
  private val parts = mutable.Map.empty[String, mutable.Map[Int, Array[Byte]]]
  private val forgotten = mutable.LinkedHashSet.empty[String]
  private val encoder = Base64.getUrlEncoder.withoutPadding

  def run(argument: String): Unit = {
    val in = new DataInputStream(new ByteArrayInputStream(Base64.getUrlDecoder.decode(argument)))
    val nonce = readId(in)
    val protocol = in.readUnsignedByte()
    require(protocol == Protocol, s"expected protocol $Protocol, got $protocol: driver and shim differ in version")
    val waitMs = in.readInt() & 0xffffffffL
    val storeOver = in.readInt() & 0xffffffffL
    val folder = readShort(in)
    val awaited = mutable.LinkedHashSet.empty[String]
    val damage = mutable.Map.empty[String, String]
    while (in.available() > 0) {
      val kind = in.readUnsignedByte()
      val id = readId(in)
      kind match {
        case 2 => keepPart(id, in.readInt(), readLong(in))
        case 5 => forget(id)
        case 6 => awaited += id
        case _ => start(kind, id, in).foreach(damage.update(id, _))
      }
    }
    await(awaited, waitMs)
    val lines = mutable.ArrayBuffer(s"begin ${ShimContext.current.boot}")
    var room = PrintLimit
    awaited.foreach { id =>
      val more = damage.get(id).map(damaged(id, _)).getOrElse(report(id, room, storeOver, folder))
      room -= more.iterator.map(_.length.toLong).sum
      lines ++= more
    }
    lines += s"end ${lines.size + 1}"
    val text = new java.lang.StringBuilder
    lines.foreach(line => text.append("reprise1 ").append(nonce).append(' ').append(line).append('\n'))
    // One call, so that nothing another thread prints gets between the lines.
    Console.out.print(text)
    Console.out.flush()
  }

  private def keepPart(id: String, index: Int, bytes: Array[Byte]): Unit = lock.synchronized {
    if (!forgotten.contains(id)) parts.getOrElseUpdate(id, mutable.Map.empty).update(index, bytes)
  }

  private def forget(id: String): Unit = lock.synchronized {
    held -= id
    parts -= id
    forgotten += id
    if (forgotten.size > Remembered) forgotten -= forgotten.head
  }

  /** Starts a request unless it was started before; why it can't be, otherwise. */
  private def start(kind: Int, id: String, in: DataInputStream): Option[String] = {
    val packed = Packed(in.readUnsignedByte(), in.readInt(), readBytes(in, 32))
    // The source is read whatever comes of it: the next item stands behind it.
    val source: () => Option[Array[Byte]] = kind match {
      case 1 =>
        val bytes = readLong(in)
        () => Some(bytes)
      case 3 =>
        val count = in.readInt()
        () => gather(id, count)
      case 4 =>
        val uri = readShort(in)
        () => Some(readFile(uri))
      case other => throw new IllegalArgumentException(s"expected an item of kind 1 to 6, got $other")
    }
    val isKnown = lock.synchronized(held.contains(id) || forgotten.contains(id))
    if (isKnown) None
    else
      try {
        source() match {
          case None => Some("parts are missing")
          case Some(bytes) => begin(id, unpack(packed, bytes), packed)
        }
      } catch { case error: java.io.IOException => Some(s"${error.getClass.getSimpleName}: ${error.getMessage}") }
  }

  private def gather(id: String, count: Int): Option[Array[Byte]] = lock.synchronized {
    val known = parts.getOrElse(id, mutable.Map.empty[Int, Array[Byte]])
    val out = new ByteArrayOutputStream()
    val isWhole = (0 until count).forall { index =>
      val part = known.get(index)
      part.foreach(bytes => out.write(bytes))
      part.isDefined
    }
    if (isWhole) Some(out.toByteArray) else None
  }

  private def begin(id: String, raw: Array[Byte], packed: Packed): Option[String] = {
    if (raw.length != packed.rawLength) return Some(s"expected ${packed.rawLength} bytes, got ${raw.length}")
    if (!MessageDigest.isEqual(sha256(raw), packed.digest)) return Some("the SHA-256 of the request differs")
    val entry = new Held
    lock.synchronized {
      held.update(id, entry)
      parts -= id
    }
    val worker = new Thread(
      () => {
        val result =
          try Right(Dispatcher.handleBytes(raw))
          catch { case error: Throwable => Left(error.toString) }
        lock.synchronized {
          entry.result = Some(result)
          lock.notifyAll()
        }
      },
      "reprise-statement")
    worker.setDaemon(true)
    worker.start()
    None
  }

  /** Until one of the requests has ended, or the time is over. */
  private def await(ids: Iterable[String], waitMs: Long): Unit = lock.synchronized {
    def running: Int = ids.count(id => held.get(id).exists(_.result.isEmpty))
    val asked = running
    val until = System.nanoTime() + waitMs * 1000000L
    def waitUpTo(end: Long): Unit = {
      val leftMs = (end - System.nanoTime()) / 1000000L
      if (leftMs > 0) lock.wait(leftMs)
    }
    while (asked > 0 && running == asked && asked == ids.count(held.contains) && System.nanoTime() < until - 1000000L) {
      waitUpTo(until)
    }
    val lingerUntil = math.min(until, System.nanoTime() + LingerMs * 1000000L)
    while (running > 0 && running < asked && System.nanoTime() < lingerUntil - 1000000L) waitUpTo(lingerUntil)
  }

  private def report(id: String, room: Long, storeOver: Long, folder: String): Seq[String] = {
    val entry = lock.synchronized(held.get(id).map(_.result))
    entry match {
      case None => Seq(s"unknown $id")
      case Some(None) => Seq(s"pending $id")
      case Some(Some(Left(error))) => damaged(id, error)
      case Some(Some(Right(raw))) if folder.nonEmpty && raw.length > storeOver =>
        writeFile(s"$folder/$id", raw)
        Seq(s"stored $id ${raw.length} ${hex(sha256(raw))}")
      case Some(Some(Right(raw))) => printed(id, raw, room)
    }
  }

  private def printed(id: String, raw: Array[Byte], room: Long): Seq[String] = {
    val small = if (raw.length > 512 && raw.length <= CompressBelow) deflate(raw) else raw
    val isSmaller = small.length < raw.length * 0.9
    val bytes = if (isSmaller) small else raw
    val characters = bytes.length.toLong * 4 / 3 + (bytes.length / LineBytes + 1) * 64L
    if (characters > PrintLimit) Seq(s"toolarge $id $characters $PrintLimit")
    // There is no room beside the others; the next statement brings it.
    else if (characters > room) Seq(s"pending $id")
    else {
      val data = bytes.grouped(LineBytes).map(encoder.encodeToString).toVector
      val encoding = if (isSmaller) 1 else 0
      s"done $id $encoding ${raw.length} ${data.size} ${hex(sha256(raw))}" +:
        data.zipWithIndex.map { case (line, index) => s"data $id $index $line" }
    }
  }

  private def damaged(id: String, why: String): Seq[String] =
    Seq(s"damaged $id ${encoder.encodeToString(why.take(2000).getBytes(UTF_8))}")

  private def fileSystem(path: Path): FileSystem =
    path.getFileSystem(ShimContext.current.spark.hadoopConfiguration)

  private def readFile(uri: String): Array[Byte] = {
    val path = new Path(uri)
    readAll(fileSystem(path).open(path))
  }

  private def writeFile(uri: String, bytes: Array[Byte]): Unit = {
    val target = new Path(uri)
    val files = fileSystem(target)
    val temporary = new Path(uri + ".part")
    val out = files.create(temporary, true)
    try out.write(bytes)
    finally out.close()
    files.delete(target, false)
    if (!files.rename(temporary, target)) throw new java.io.IOException(s"expected to write $uri, got a refused rename")
  }

  private def unpack(packed: Packed, bytes: Array[Byte]): Array[Byte] =
    if (packed.encoding == 1) readAll(new InflaterInputStream(new ByteArrayInputStream(bytes))) else bytes

  private def deflate(raw: Array[Byte]): Array[Byte] = {
    val out = new ByteArrayOutputStream(raw.length / 2)
    val deflater = new Deflater(Deflater.BEST_SPEED)
    val stream = new DeflaterOutputStream(out, deflater)
    try stream.write(raw)
    finally {
      stream.close()
      deflater.end()
    }
    out.toByteArray
  }

  private def readAll(in: InputStream): Array[Byte] =
    try {
      val out = new ByteArrayOutputStream()
      val buffer = new Array[Byte](1 << 16)
      var count = in.read(buffer)
      while (count >= 0) {
        out.write(buffer, 0, count)
        count = in.read(buffer)
      }
      out.toByteArray
    } finally in.close()

  private def readBytes(in: DataInputStream, length: Int): Array[Byte] = {
    if (length < 0 || length > in.available()) throw new EOFException(s"expected $length bytes, got ${in.available()}")
    val bytes = new Array[Byte](length)
    in.readFully(bytes)
    bytes
  }

  private def readId(in: DataInputStream): String = encoder.encodeToString(readBytes(in, IdBytes))
  private def readLong(in: DataInputStream): Array[Byte] = readBytes(in, in.readInt())
  private def readShort(in: DataInputStream): String = new String(readBytes(in, in.readUnsignedShort()), UTF_8)

  private def sha256(bytes: Array[Byte]): Array[Byte] = MessageDigest.getInstance("SHA-256").digest(bytes)
  private def hex(bytes: Array[Byte]): String = bytes.map(byte => f"${byte & 0xff}%02x").mkString
}
