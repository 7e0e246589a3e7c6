package reprise.shim.frame

import java.io.{BufferedReader, InputStreamReader}
import java.nio.charset.StandardCharsets.UTF_8

import scala.collection.JavaConverters._

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.Path
import org.apache.hadoop.io.compress.CompressionCodecFactory

import reprise.shim.protocol.{Json, ShimError}

/** What the first line of a text file says about the rest. */
object TextFiles {

  def firstLine(path: Path, configuration: Configuration): String = {
    val raw =
      try path.getFileSystem(configuration).open(path)
      catch {
        case error: java.io.IOException =>
          throw ShimError.data(s"frame: expected a readable file at $path, got ${error.getMessage}")
      }
    val codec = Option(new CompressionCodecFactory(configuration).getCodec(path))
    val in = codec.map(_.createInputStream(raw)).getOrElse(raw)
    try {
      val line = new BufferedReader(new InputStreamReader(in, UTF_8)).readLine()
      Option(line).getOrElse("").stripPrefix("\ufeff")
    } finally in.close()
  }

  /** Comma, semicolon, tab or bar: what occurs most outside quotes; comma when none does. */
  def delimiterOf(header: String): String = {
    val plain = header.replaceAll("\"[^\"]*\"", "")
    Seq(",", ";", "\t", "|").maxBy(delimiter => plain.count(_ == delimiter.head))
  }

  /** Names of a JSON object's fields, in order; none when the text is no object. */
  def fieldNames(line: String): Seq[String] =
    try {
      val bytes = line.getBytes(UTF_8)
      Json.parse(bytes, 0, bytes.length).fieldNames().asScala.toVector
    } catch { case _: com.fasterxml.jackson.core.JsonProcessingException => Vector.empty }
}
