package reprise.shim.frame

import java.io.{BufferedInputStream, InputStream}
import java.nio.charset.StandardCharsets.US_ASCII

import scala.collection.JavaConverters._
import scala.util.control.NonFatal

import org.apache.arrow.memory.{BufferAllocator, RootAllocator}
import org.apache.arrow.vector.FieldVector
import org.apache.arrow.vector.dictionary.DictionaryEncoder
import org.apache.arrow.vector.types.TimeUnit
import org.apache.arrow.vector.types.pojo.{ArrowType, Field}
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.Path
import org.apache.spark.TaskContext
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow
import org.apache.spark.sql.types.{StructField, TimestampType}

import reprise.shim.protocol.ShimError

/**
 * One Arrow IPC file or stream, read from its beginning: a file is a stream between two magic
 * words. Columns of nested or binary types are left out, as no feature can be made of them.
 * Invariant: `close` frees all buffers.
 */
final class ArrowFile(path: String, configuration: Configuration) extends AutoCloseable {
  private val allocator: BufferAllocator = new RootAllocator()
  /** Values of dictionary columns of the batch being read. */
  private var decodedVectors = Seq.empty[FieldVector]
  private val reader = guarded(new ArrowStream(ArrowFile.open(path, configuration), allocator))
  /** Columns a feature can read: place in the file and how its cells are read. */
  private val columns: IndexedSeq[(Int, Field, ArrowCells)] = guarded {
    val fields = reader.getVectorSchemaRoot.getSchema.getFields.asScala.toIndexedSeq
    fields.indices.flatMap(i => ArrowCells.of(valueField(fields(i))).map(cells => (i, fields(i), cells)))
  }
  /** As the columns are called, those left out among them. */
  private val names = ColumnNames.unique(reader.getVectorSchemaRoot.getSchema.getFields.asScala.map(_.getName).toSeq)

  def fileColumns: FileColumns = FileColumns(path, columns.map { case (i, field, cells) =>
    val plain = FileColumn.plain(StructField(names(i), cells.dataType))
    valueField(field).getType match {
      case time: ArrowType.Timestamp if time.getUnit == TimeUnit.NANOSECOND =>
        plain.copy(dataType = TimestampType, typeName = "timestamp_ns", convert = NanosToMicros(_, names(i)))
      case _ => plain
    }
  })

  /** The rows in order; each is a row of its own, so that it may be kept. */
  def rows: Iterator[InternalRow] = Iterator
    .continually(guarded(reader.loadNextBatch()))
    .takeWhile(identity)
    .flatMap(_ => batch())

  private def batch(): Iterator[InternalRow] = {
    val root = reader.getVectorSchemaRoot
    closeDecoded()
    val vectors = columns.map { case (i, field, _) => valuesOf(root.getVector(i), field) }
    Iterator.range(0, root.getRowCount).map { row =>
      val cells = new Array[Any](columns.length)
      var c = 0
      while (c < cells.length) {
        if (!vectors(c).isNull(row)) cells(c) = columns(c)._3.read(vectors(c), row)
        c += 1
      }
      new GenericInternalRow(cells): InternalRow
    }
  }

  private def valuesOf(vector: FieldVector, field: Field): FieldVector =
    Option(field.getDictionary) match {
      case None => vector
      case Some(encoding) =>
        val dictionary = reader.getDictionaryVectors.get(encoding.getId)
        val values = DictionaryEncoder.decode(vector, dictionary, allocator).asInstanceOf[FieldVector]
        decodedVectors = decodedVectors :+ values
        values
    }

  private def valueField(field: Field): Field =
    Option(field.getDictionary) match {
      case None => field
      case Some(encoding) => reader.getDictionaryVectors.get(encoding.getId).getVector.getField
    }

  private def closeDecoded(): Unit = {
    decodedVectors.foreach(_.close())
    decodedVectors = Seq.empty
  }

  def close(): Unit = {
    closeDecoded()
    Option(reader).foreach(_.close())
    allocator.close()
  }

  private def guarded[T](body: => T): T =
    try body
    catch {
      case NonFatal(error) =>
        close()
        throw error match {
          case known: ShimError => known
          case _ =>
            ShimError.data(
              s"frame: expected a whole Arrow IPC file at $path, got ${Option(error.getMessage).getOrElse(error.toString)}",
              "path" -> path)
        }
    }
}

object ArrowFile {
  private val Magic = "ARROW1".getBytes(US_ASCII)
  /** The first magic word is padded to this many bytes. */
  private val MagicBytes = 8

  def columnsOf(path: String, configuration: Configuration): FileColumns = {
    val file = new ArrowFile(path, configuration)
    try file.fileColumns
    finally file.close()
  }

  /** Rows of a file inside a task; its buffers go with the task. */
  def rowsIn(path: String, configuration: Configuration): Iterator[InternalRow] = {
    val file = new ArrowFile(path, configuration)
    Option(TaskContext.get()).foreach(_.addTaskCompletionListener[Unit](_ => file.close()))
    file.rows
  }

  /** The stream of messages. A file ends in a marker that it is whole; a bare stream just ends. */
  private def open(path: String, configuration: Configuration): InputStream = {
    val at = new Path(path)
    val system = at.getFileSystem(configuration)
    val length = system.getFileStatus(at).getLen
    val in = system.open(at)
    val word = new Array[Byte](Magic.length)
    if (length >= 2 * MagicBytes) in.readFully(0, word)
    if (!word.sameElements(Magic)) {
      in.seek(0)
      return new BufferedInputStream(in)
    }
    in.readFully(length - Magic.length, word)
    if (!word.sameElements(Magic)) {
      in.close()
      throw ShimError.data(
        s"frame: expected a whole Arrow IPC file at $path, got one of $length bytes without its end; write it again", "path" -> path)
    }
    in.seek(MagicBytes)
    new BufferedInputStream(in)
  }
}
