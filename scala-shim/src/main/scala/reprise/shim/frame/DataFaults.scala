package reprise.shim.frame

import java.io.IOException
import java.net.{SocketException, SocketTimeoutException, UnknownHostException}
import java.util.zip.ZipException

import scala.util.control.NonFatal

import org.apache.hadoop.fs.Path
import org.apache.hadoop.ipc.RemoteException
import org.apache.hadoop.security.AccessControlException
import org.apache.parquet.ParquetRuntimeException
import org.apache.spark.{SparkThrowable, TaskKilledException}

import reprise.shim.protocol.ShimError

/** Tells faults of the data (a damaged file, a bad value) from faults of the machines. */
object DataFaults {

  /**
   * Runs what does nothing but read rows of a file.
   * @param row where it is, if that is known
   * @param leavesValues values that expressions can't take are told by others
   * @throws ShimError data naming the file, and the row, when the data are at fault
   */
  def guard[T](path: String, row: => Option[Long] = None, leavesValues: Boolean = false)(body: => T): T =
    try body
    catch {
      case error: RuntimeException with SparkThrowable if leavesValues => throw error
      case NonFatal(error) if ShimError.find(error).isDefined => throw ShimError.find(error).get
      case NonFatal(error) if !isOfMachine(error, path) =>
        val place = row.fold(path)(at => s"$path at row $at")
        throw new ShimError(
          "data", s"data: expected readable values that fit their expressions in $place, got ${text(error)}",
          Map("path" -> path) ++ row.map(at => "row" -> at.toString), error)
    }

  /** Whether an error that no guard met is surely one of the data. */
  def isOfData(error: Throwable): Boolean = ShimError.chain(error).exists {
    case _: RuntimeException with SparkThrowable | _: ParquetRuntimeException => true
    case known: SparkThrowable => Option(known.getErrorClass).exists(_.startsWith("FAILED_READ_FILE"))
    case _ => false
  }

  /** What went wrong, without the settings Spark would have changed. */
  def text(error: Throwable): String = {
    val causes = ShimError.chain(error).toVector
    val told = causes.collectFirst { case known: RuntimeException with SparkThrowable => known }
      .orElse(causes.reverse.find(cause => Option(cause.getMessage).exists(_.trim.nonEmpty)))
    told.fold(error.getClass.getSimpleName) { cause =>
      val line = SqlDialect.firstLine(cause.getMessage)
        .replaceFirst("""^\[[A-Z0-9_.]+\] """, "")
        .replaceFirst("""\.?\s*(SQLSTATE|If necessary,? set|Use `try_).*$""", "")
      cause match {
        case _: SparkThrowable => line
        case _ => s"${cause.getClass.getSimpleName}: $line"
      }
    }
  }

  private def isOfMachine(error: Throwable, path: String): Boolean = {
    val isRemote = Option(new Path(path).toUri.getScheme).exists(_ != "file")
    ShimError.chain(error).exists {
      case _: TaskKilledException | _: InterruptedException => true
      case _: SocketException | _: SocketTimeoutException | _: UnknownHostException => true
      case _: RemoteException | _: AccessControlException => true
      case fault: IOException => isRemote && !isOfBytes(fault)
      case _ => false
    }
  }

  private def isOfBytes(fault: IOException): Boolean = fault match {
    case _: java.io.EOFException | _: java.io.FileNotFoundException | _: ZipException => true
    case other => other.getClass.getName.matches("(?i).*(zstd|snappy|lz4|brotli|corrupt|protobuf|format).*")
  }
}
