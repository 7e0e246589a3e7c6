package reprise.shim.frame

import java.io.{BufferedInputStream, BufferedReader, InputStream, InputStreamReader, Reader}
import java.nio.charset.{Charset, CharacterCodingException, CodingErrorAction}
import java.nio.charset.StandardCharsets._

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.Path
import org.apache.hadoop.io.compress.CompressionCodecFactory

import reprise.shim.protocol.ShimError

/** Text files as characters. Bytes that are not text of the encoding fail in an error naming it. */
object TextFiles {
  private val HeadChars = 1 << 20

  /** The characters of a file, unpacked, without byte order mark and the lines to skip. */
  def open(path: String, encoding: String, skip: Int, configuration: Configuration): BufferedReader = {
    val bytes = new BufferedInputStream(unpacked(path, configuration))
    val decoder = charset(encoding, bytes).newDecoder()
      .onMalformedInput(CodingErrorAction.REPORT).onUnmappableCharacter(CodingErrorAction.REPORT)
    val reader = new BufferedReader(new InputStreamReader(bytes, decoder), 1 << 16)
    try {
      reader.mark(1)
      if (reader.read() != '\ufeff') reader.reset()
      var left = skip
      while (left > 0 && reader.readLine() != null) left -= 1
      reader
    } catch {
      case error: Throwable =>
        reader.close()
        throw failure(path, encoding, error)
    }
  }

  /** What is wrong with a file that can't be read or decoded; other errors as they are. */
  def failure(path: String, encoding: String, error: Throwable): Throwable = error match {
    case _: CharacterCodingException =>
      val other = if (encoding == "utf-8") "windows-1252, latin-1 or utf-16" else "utf-8"
      ShimError.data(
        s"data: expected $encoding text in $path, got other bytes; say data.csv.encoding: $other if it is that", "path" -> path)
    case failed: java.io.IOException =>
      ShimError.data(s"data: expected a readable file at $path, got ${failed.getMessage}", "path" -> path)
    case other => other
  }

  def charset(encoding: String, bytes: InputStream): Charset = encoding match {
    case "utf-16" =>
      bytes.mark(2)
      val isBig = bytes.read() == 0xfe && bytes.read() == 0xff
      bytes.reset()
      if (isBig) UTF_16BE else UTF_16LE
    case "utf-16le" => UTF_16LE
    case "utf-16be" => UTF_16BE
    case "latin-1" => ISO_8859_1
    case "windows-1252" => Charset.forName("windows-1252")
    case _ => UTF_8
  }

  private def unpacked(path: String, configuration: Configuration): InputStream = {
    val file = new Path(path)
    val raw =
      try file.getFileSystem(configuration).open(file)
      catch {
        case error: java.io.IOException =>
          throw ShimError.data(s"data: expected a readable file at $path, got ${error.getMessage}", "path" -> path)
      }
    Option(new CompressionCodecFactory(configuration).getCodec(file)).map(_.createInputStream(raw)).getOrElse(raw)
  }

  /** The dialect of a CSV file, its delimiter by the first line that is no comment. */
  def dialect(path: String, options: CsvOptions, configuration: Configuration): CsvDialect = {
    val quote = options.quote.getOrElse('\u0000')
    val delimiter = options.delimiter.getOrElse {
      if (path.toLowerCase(java.util.Locale.ROOT).matches("(?s).*\\.tsv(\\.gz)?")) '\t'
      else delimiterOf(firstLine(path, options, configuration))
    }
    CsvDialect(delimiter, quote, options.escape.getOrElse(quote), options.comment.getOrElse('\u0000'))
  }

  private def firstLine(path: String, options: CsvOptions, configuration: Configuration): String = {
    val reader = open(path, options.encoding, options.skip, configuration)
    try {
      var line = readLine(reader)
      while (line != null && (line.isEmpty || options.comment.contains(line.head))) line = readLine(reader)
      Option(line).getOrElse("")
    } catch { case error: java.io.IOException => throw failure(path, options.encoding, error) }
    finally reader.close()
  }

  /** As `readLine`, of a bounded length: the file may be no text at all. */
  private def readLine(reader: Reader): String = {
    val line = new StringBuilder
    var char = reader.read()
    if (char < 0) return null
    while (char >= 0 && char != '\n' && char != '\r' && line.length < HeadChars) {
      line.append(char.toChar)
      char = reader.read()
    }
    line.toString
  }

  /** Comma, semicolon, tab or bar: what occurs most outside quotes; comma when none does. */
  def delimiterOf(header: String): Char = {
    val plain = header.replaceAll("\"[^\"]*\"", "")
    Seq(',', ';', '\t', '|').maxBy(delimiter => plain.count(_ == delimiter))
  }
}
