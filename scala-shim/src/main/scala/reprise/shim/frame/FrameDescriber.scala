package reprise.shim.frame

import java.io.FileNotFoundException
import java.security.MessageDigest

import scala.collection.JavaConverters._

import com.fasterxml.jackson.databind.node.ObjectNode
import org.apache.hadoop.fs.{EtagSource, FileStatus, FileSystem, Path}
import org.apache.spark.sql.types._
import org.apache.spark.util.SerializableConfiguration

import reprise.shim.ShimContext
import reprise.shim.protocol.{Json, ShimError}

/** Lists a frame's files with their identity, row counts and columns. */
final class FrameDescriber(context: ShimContext) {
  private val reader = context.reader
  private val configuration = context.session.sessionState.newHadoopConf()

  /** `given` files keep the driver's identity; else `path` is listed by the cluster. */
  def describe(
      path: Option[String], format: Option[String], options: ReadOptions, given: Option[FrameSource]): ObjectNode = {
    val source = given.getOrElse {
      list(path.getOrElse(throw ShimError.internal("describeFrame: expected a path or files")), format)
        .copy(options = options)
    }
    if (source.files.isEmpty) throw ShimError.data("frame: expected at least one file, got none")
    if (TextTable.isText(source.format)) describeText(source) else describeTyped(source)
  }

  /** Text has no types: what the files hold is told, and the driver says what they are read as. */
  private def describeText(source: FrameSource): ObjectNode = {
    val (format, options) = (source.format, source.options)
    val hadoop = new SerializableConfiguration(configuration)
    val paths = source.files.map(_.path)
    val summaries = context.spark.parallelize(paths, paths.length)
      .map(path => TextTable.summary(format, path, options, hadoop.value)).collect()
    val dropsRows = options.dropMissing.isDefined
    val files = source.files.zip(summaries).map { case (file, found) =>
      file.copy(rows = if (dropsRows) found.rows - found.missing else found.rows)
    }
    val text = summaries.map { found =>
      Json.obj("columns" -> Json.arr(found.names.zip(found.kinds).map { case (name, kinds) =>
        Json.obj("name" -> Json.str(name), "cells" -> Json.int(kinds))
      }))
    }
    val dropped = if (dropsRows) summaries.map(_.missing).sum else 0L
    answer(source.copy(files = files), Vector.empty, dropped).set[ObjectNode]("text", Json.arr(text))
  }

  private def describeTyped(source: FrameSource): ObjectNode = {
    requireNoText(source)
    val columns = sharedColumns(source)
    val whole = source.files.map { file =>
      file.copy(rows = if (file.rows > 0) file.rows else countRows(source.format, file))
    }
    source.options.dropMissing.foreach(requireColumn(columns, _))
    val files =
      if (source.options.dropMissing.isEmpty) whole
      else whole.map(file => file.copy(rows = reader.read(source, file).count()))
    answer(source.copy(files = files), columns, whole.map(_.rows).sum - files.map(_.rows).sum)
  }

  private def requireNoText(source: FrameSource): Unit =
    Seq("csv" -> source.options.json.has("csv"), "schema" -> source.options.schema.nonEmpty).collect { case (key, true) =>
      throw ShimError.data(s"data.$key: expected ${if (key == "csv") "CSV files" else "CSV or JSON lines"}, got ${source.format}; remove it")
    }

  private def requireColumn(columns: Seq[FileColumn], name: String): Unit =
    if (!columns.exists(_.name == name)) {
      throw ShimError.data(
        s"""data.target: expected a column of the data, got "$name"; ${columns.map(_.name).take(8).mkString(", ")}""", "column" -> name)
    }

  private def answer(source: FrameSource, columns: Seq[FileColumn], dropped: Long): ObjectNode =
    Json.obj(
      "source" -> Json.obj(
        "format" -> Json.str(source.format),
        "files" -> Json.arr(source.files.map { file =>
          Json.obj(
            "path" -> Json.str(file.path),
            "digest" -> Json.str(file.digest),
            "bytes" -> Json.int(file.bytes),
            "rows" -> Json.int(file.rows),
            "partition" -> (if (file.partition.isEmpty) Json.nul else Json.arr(file.partition.map(_.json))))
        }),
        "options" -> source.options.json,
        "text" -> Json.nul),
      "columns" -> Json.arr(columns.map { column =>
        Json.obj(
          "name" -> Json.str(column.name),
          "type" -> Json.str(FrameDescriber.columnType(column.dataType)),
          "engineType" -> Json.str(column.typeName))
      }),
      "rows" -> Json.int(source.rows),
      "dropped" -> Json.int(dropped),
      "text" -> Json.nul)

  private def sharedColumns(source: FrameSource): IndexedSeq[FileColumn] = {
    val all = source.files.map(file => file.path -> reader.columnsOf(source.format, file.path).columns)
    val (firstPath, first) = all.head
    all.tail.foreach { case (path, columns) =>
      val differing = first.zipAll(columns, null, null).find { case (a, b) =>
        a == null || b == null || a.name != b.name || a.typeName != b.typeName
      }
      differing.foreach { case (a, b) =>
        throw ShimError.data(
          s"data: expected the files to have the same columns, got ${text(a)} in $firstPath and ${text(b)} in $path; make them agree or give a glob that leaves one out",
          "path" -> path)
      }
    }
    first
  }

  private def text(column: FileColumn): String =
    if (column == null) "no such column" else s"${column.typeName} for `${column.name}`"

  private def countRows(format: String, file: FrameFile): Long = format match {
    case "parquet" => reader.footer(file.path).getBlocks.asScala.map(_.getRowCount).sum
    case _ => DataFaults.guard(file.path)(reader.read(FrameSource(format, IndexedSeq(file)), file).count())
  }

  private def list(path: String, format: Option[String]): FrameSource =
    if (path.startsWith(TableFiles.Scheme)) {
      val (kind, paths) = new TableFiles(context.session).of(path.drop(TableFiles.Scheme.length))
      FrameSource(kind, paths.map(identified).toIndexedSeq)
    } else listFiles(path, format)

  private def identified(path: Path): FrameFile = {
    val system = path.getFileSystem(configuration)
    val status = system.getFileStatus(path)
    FrameFile(status.getPath.toString, identity(system, status), status.getLen, 0)
  }

  private def listFiles(path: String, format: Option[String]): FrameSource = {
    val statuses = new FileListing(configuration).of(path)
    def system(status: FileStatus): FileSystem = status.getPath.getFileSystem(configuration)
    if (statuses.isEmpty) {
      throw ShimError.data(s"frame: expected a file, folder or glob with files at $path, got none", "path" -> path)
    }
    val kinds = statuses.map(status => FrameDescriber.formatOf(status.getPath.getName)).distinct.toArray
    val kind = format.getOrElse {
      kinds match {
        case Array(Some(one)) => one
        case other =>
          throw ShimError.data(
            s"frame: expected files of one known format at $path, got ${other.map(_.getOrElse("unknown")).mkString(", ")}; name the format",
            "path" -> path)
      }
    }
    FrameSource(
      kind,
      statuses.map { status =>
        FrameFile(status.getPath.toString, identity(system(status), status), status.getLen, 0)
      }.toIndexedSeq)
  }

  /** What files are now; None for one that is gone. */
  def identify(paths: Seq[String]): Seq[Option[String]] = paths.map { name =>
    val path = new Path(name)
    val system = path.getFileSystem(configuration)
    try Some(identity(system, system.getFileStatus(path)))
    catch { case _: FileNotFoundException => None }
  }

  /** Digest over path, length, time of change, and checksum or ETag where the storage has one. */
  private def identity(system: FileSystem, status: FileStatus): String = {
    val tag = status match {
      case tagged: EtagSource => Option(tagged.getEtag).getOrElse("")
      case _ => Option(system.getFileChecksum(status.getPath)).map(_.toString).getOrElse("")
    }
    val text = s"${status.getPath}|${status.getLen}|${status.getModificationTime}|$tag"
    MessageDigest.getInstance("SHA-256").digest(text.getBytes("UTF-8")).map(b => f"${b & 0xff}%02x").mkString
  }
}

object FrameDescriber {
  def columnType(dataType: DataType): String = dataType match {
    case _: NumericType => "number"
    case BooleanType => "boolean"
    case StringType | _: VarcharType | _: CharType => "text"
    case TimestampType | TimestampNTZType | DateType => "timestamp"
    case _ => "other"
  }

  def formatOf(name: String): Option[String] = {
    val lower = name.toLowerCase
    if (lower.matches(""".*\.(parquet|pq)""")) Some("parquet")
    else if (lower.endsWith(".orc")) Some("orc")
    else if (lower.matches(""".*\.(csv|tsv)(\.gz)?""")) Some("csv")
    else if (lower.matches(""".*\.(jsonl|ndjson)(\.gz)?""")) Some("jsonl")
    else if (lower.matches(""".*\.(arrow|arrows|feather|ipc)""")) Some("arrow")
    else None
  }
}
