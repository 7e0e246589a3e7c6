package reprise.shim

import java.util.Properties

/**
 * Whether this jar is the one for the Spark it runs in. Each way in asks before anything else: a
 * jar of another line or Scala works for a while and then misses a method. Written so that it runs
 * under any Scala: nothing of its library but the version, no interpolated text, no collection, no
 * closure.
 */
object Fit {
  /** The versions as they are; part of what `spark-bridge/livy/livy-backend.ts` reads. */
  private def running: String =
    "Spark ".concat(org.apache.spark.SPARK_VERSION).concat(" with Scala ").concat(scala.util.Properties.versionNumberString)

  /** What is wrong; null when nothing is. */
  def problem: String = {
    val build = new Properties
    val in = classOf[Fitted].getResourceAsStream("build.properties")
    try build.load(in)
    finally in.close()
    val line = minor(build.getProperty("spark"))
    val scalaLine = build.getProperty("scala")
    if (line.equals(minor(org.apache.spark.SPARK_VERSION)) && scalaLine.equals(minor(scala.util.Properties.versionNumberString))) null
    else
      "shim: expected Spark ".concat(line).concat(" with Scala ").concat(scalaLine).concat(", which this jar was built for, got ")
        .concat(running).concat("; use the jar of these versions (`reprise-shim_<scala>-spark<version>-..`), or let Reprise choose it")
  }

  /** @throws IllegalStateException when the jar does not fit */
  def check(): Unit = {
    val wrong = problem
    if (wrong != null) throw new IllegalStateException(wrong)
  }

  /** `check` for programs: says it and ends the process. */
  def checkOrExit(): Unit = {
    val wrong = problem
    if (wrong != null) {
      System.err.println(wrong)
      System.exit(2)
    }
  }

  private def minor(version: String): String = {
    val second = version.indexOf('.', version.indexOf('.') + 1)
    if (second < 0) version else version.substring(0, second)
  }
}

/** Names the folder of the properties. */
private final class Fitted
