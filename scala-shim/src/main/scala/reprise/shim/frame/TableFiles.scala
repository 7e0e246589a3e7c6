package reprise.shim.frame

import org.apache.hadoop.fs.Path
import org.apache.spark.sql.{AnalysisException, SparkSession}
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan
import org.apache.spark.sql.execution.datasources.{HadoopFsRelation, LogicalRelation}
import org.apache.spark.sql.sources.DataSourceRegister

import reprise.shim.protocol.ShimError

/**
 * A table of Spark's catalog as the files it is made of, so that it has identity, row order and
 * reuse by file like any other data. Tables that are not just files (views, partitions, other
 * sources) are refused with what to do.
 */
final class TableFiles(session: SparkSession) {

  /** Format and paths, sorted by path. */
  def of(name: String): (String, Seq[Path]) = {
    val plan =
      try session.table(name).queryExecution.optimizedPlan
      catch {
        case error: AnalysisException => throw refused(name, SqlDialect.firstLine(error.getMessage), "name a table of the catalog")
      }
    val relation = filesOf(plan).getOrElse {
      throw refused(name, s"a ${plan.nodeName.toLowerCase}", "write it as a table of Parquet files first")
    }
    if (relation.partitionSchema.nonEmpty) {
      throw refused(name, "a partitioned table", "its partition columns are not in its files: write it without partitions")
    }
    val format = relation.fileFormat match {
      case known: DataSourceRegister => known.shortName
      case other => other.getClass.getSimpleName
    }
    if (format != "parquet" && format != "orc") {
      throw refused(name, s"a table of $format", "write it as a table of Parquet files first")
    }
    (format, relation.location.inputFiles.map(new Path(_)).sortBy(_.toString).toSeq)
  }

  private def filesOf(plan: LogicalPlan): Option[HadoopFsRelation] = plan match {
    case leaf: LogicalRelation => Option(leaf.relation).collect { case files: HadoopFsRelation => files }
    case _ => None
  }

  private def refused(name: String, got: String, remedy: String): ShimError =
    ShimError.data(s"data.table: expected a table of Parquet or ORC files called $name, got $got; $remedy", "table" -> name)
}

object TableFiles {
  /** How a table stands where a path could. */
  val Scheme = "table://"
}
