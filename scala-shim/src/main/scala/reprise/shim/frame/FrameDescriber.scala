package reprise.shim.frame

import java.io.FileNotFoundException
import java.security.MessageDigest

import scala.collection.JavaConverters._

import com.fasterxml.jackson.databind.node.ObjectNode
import org.apache.hadoop.fs.{EtagSource, FileStatus, FileSystem, Path}
import org.apache.spark.sql.types._

import reprise.shim.ShimContext
import reprise.shim.protocol.{Json, ShimError}

/** Lists a frame's files with their identity, row counts and columns. */
final class FrameDescriber(context: ShimContext) {
  private val reader = context.reader
  private val configuration = context.session.sessionState.newHadoopConf()

  /** `given` files keep the identity the driver gave them; else `path` is listed on the cluster's file system. */
  def describe(
      path: Option[String], format: Option[String], options: ReadOptions, given: Option[FrameSource]): ObjectNode = {
    val source = given.getOrElse {
      list(path.getOrElse(throw ShimError.internal("describeFrame: expected a path or files")), format)
        .copy(options = options)
    }
    val columns = sharedColumns(source)
    val files = source.files.map { file =>
      file.copy(rows = if (file.rows > 0) file.rows else countRows(source, file))
    }
    Json.obj(
      "source" -> Json.obj(
        "format" -> Json.str(source.format),
        "files" -> Json.arr(files.map { file =>
          Json.obj(
            "path" -> Json.str(file.path),
            "digest" -> Json.str(file.digest),
            "bytes" -> Json.int(file.bytes),
            "rows" -> Json.int(file.rows),
            "partition" -> (if (file.partition.isEmpty) Json.nul else Json.arr(file.partition.map(_.json))))
        }),
        "options" -> source.options.json,
        "columns" -> source.columns.map(columns => Json.arr(columns.map { column =>
          Json.obj("name" -> Json.str(column.name), "type" -> Json.str(column.dataType))
        })).getOrElse(Json.nul)),
      "columns" -> Json.arr(columns.map { column =>
        Json.obj(
          "name" -> Json.str(column.name),
          "type" -> Json.str(FrameDescriber.columnType(column.dataType)),
          "engineType" -> Json.str(column.typeName))
      }),
      "rows" -> Json.int(files.map(_.rows).sum))
  }

  private def sharedColumns(source: FrameSource): IndexedSeq[FileColumn] = {
    if (source.files.isEmpty) throw ShimError.data("frame: expected at least one file, got none")
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

  private def countRows(source: FrameSource, file: FrameFile): Long = source.format match {
    case "parquet" => reader.footer(file.path).getBlocks.asScala.map(_.getRowCount).sum
    case _ => DataFaults.guard(file.path)(reader.read(source, file).count())
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

  /** Digest over path, length, time of change, and the checksum or ETag where the storage has one. */
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
