package reprise.shim.block

import java.io.File
import java.nio.file.Files

import scala.util.Try

import org.apache.spark.{SparkContext, SparkFiles}

/**
 * The native BLAS that travels with an application: OpenBLAS's libraries among Spark's own files
 * (`SparkContext.addFile`, or `spark.files`), in one folder on every executor. Invariant: a library
 * this machine can't load (another processor or C library) leaves the search to the system, and
 * what the operator named by netlib's own settings stays.
 */
object ShippedBlas {
  private val Library = "libopenblas.so.0"
  private val Settings = "dev.ludovic.netlib.blas."
  private val Path = Settings + "nativeLibPath"
  /** Names the folder on the driver's machine that is to be shipped. */
  private val Folder = "spark.reprise.nativeBlas"

  /** Sends the libraries of the folder in Spark's settings, if there is one, to all executors. */
  def ship(spark: SparkContext): Unit =
    spark.getConf.getOption(Folder).foreach { folder =>
      val files = Option(new File(folder).listFiles()).getOrElse(Array.empty[File])
      // The other names are links to the library.
      files.filter(file => file.isFile && !Files.isSymbolicLink(file.toPath))
        .foreach(file => spark.addFile(file.getPath))
    }

  /** Must come before netlib's first use: it loads one library for the life of the JVM. */
  def prefer(): Unit = {
    val isNamed = Seq("nativeLib", "nativeLibPath").exists(name => System.getProperty(Settings + name) != null)
    val found = Try(new File(SparkFiles.get(Library)).getCanonicalFile).filter(_.isFile).toOption
    if (!isNamed) found.foreach { file =>
      try {
        System.load(file.getPath)
        System.setProperty(Path, file.getPath)
      } catch { case _: UnsatisfiedLinkError => }
    }
  }

  /** What the kernels of this JVM use, for people. */
  def describe: String = {
    val kind = Blas.blas.getClass.getSimpleName
    if (Blas.isNative) s"$kind, ${Option(System.getProperty(Path)).fold("libblas.so.3")(new File(_).getName)}" else kind
  }
}
