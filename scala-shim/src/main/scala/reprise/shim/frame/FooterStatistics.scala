package reprise.shim.frame

import scala.collection.JavaConverters._

import com.fasterxml.jackson.databind.JsonNode
import org.apache.parquet.column.statistics.{DoubleStatistics, FloatStatistics, IntStatistics, LongStatistics, Statistics}
import org.apache.parquet.hadoop.metadata.{ColumnChunkMetaData, ParquetMetadata}
import org.apache.spark.sql.catalyst.analysis.UnresolvedAttribute
import org.apache.spark.sql.types._

import reprise.shim.protocol.ShimError
import reprise.shim.protocol.Json._

/**
 * Profiles of number columns from the footers of Parquet files, without reading a row. Only for
 * requests that allow it (`fromStatistics`), as NaN is in no statistics: `missing` then counts nulls,
 * and who encodes the column must check it.
 */
final class FooterStatistics(reader: FrameReader) {

  /** By file, then request; None where rows have to be read. A request is answered for all files or none. */
  def profiles(source: FrameSource, requests: Seq[JsonNode]): Seq[Seq[Option[ColumnTally]]] = {
    val names = requests.map(nameOf)
    val isPlain = source.format == "parquet" && source.options.dropMissing.isEmpty
    if (!isPlain || names.forall(_.isEmpty)) source.files.map(_ => requests.map(_ => None))
    else {
      val byFile = source.files.map { file =>
        val footer = reader.footer(file.path)
        val types = reader.columnsOf(source.format, file.path).columns.map(column => column.name -> column).toMap
        val chunks = footer.getBlocks.asScala.flatMap(_.getColumns.asScala).groupBy(_.getPath.toArray.toSeq)
        if (footer.getBlocks.asScala.map(_.getRowCount).sum != file.rows) {
          throw ShimError.data(
            s"frame: expected ${file.rows} rows in ${file.path} as when it was opened, got others; the data changed, or the file is damaged",
            "path" -> file.path)
        }
        val own = file.partition.map(_.name).toSet
        names.map(_.filterNot(own).flatMap(types.get).filter(isNumber(_, footer)).flatMap { column =>
          tally(chunks.getOrElse(Seq(column.stored.get.name), Nil).toSeq, file.rows)
        })
      }
      val isWhole = requests.indices.map(i => byFile.forall(_(i).isDefined))
      byFile.map(_.zip(isWhole).map { case (found, whole) => if (whole) found else None })
    }
  }

  /** The column that a request is for by its name alone. */
  private def nameOf(request: JsonNode): Option[String] =
    if (!request.flagOr("fromStatistics", fallback = false) || request.integer("top") > 0) None
    else if (request.items("quantiles").nonEmpty) None
    else
      SqlDialect.parse(SqlText.parse(request)) match {
        case attribute: UnresolvedAttribute if attribute.nameParts.length == 1 => Some(attribute.nameParts.head)
        case _ => None
      }

  /** Whether the file has a column's numbers as they are. */
  private def isNumber(column: FileColumn, footer: ParquetMetadata): Boolean =
    column.stored.exists { field =>
      val kind = footer.getFileMetaData.getSchema.getFields.asScala.find(_.getName == field.name)
      val isKnown = field.dataType match {
        case DoubleType | FloatType | IntegerType | LongType => true
        case _ => false
      }
      isKnown && column.dataType == field.dataType &&
        kind.exists(own => own.isPrimitive && own.getLogicalTypeAnnotation == null)
    }

  /** None where a chunk has no statistics, or infinities, which are to be counted. */
  private def tally(chunks: Seq[ColumnChunkMetaData], rows: Long): Option[ColumnTally] = {
    val out = new ColumnTally(TallyKind.Real, countsValues = false)
    out.rows = rows
    val known = chunks.map(_.getValueCount).sum == rows && chunks.forall { chunk =>
      val statistics = chunk.getStatistics
      statistics != null && statistics.isNumNullsSet && {
        out.missing += statistics.getNumNulls
        statistics.getNumNulls == chunk.getValueCount || range(statistics).exists { case (low, high) =>
          // Without the sign of zero.
          out.min = math.min(out.min, low + 0.0)
          out.max = math.max(out.max, high + 0.0)
          !low.isInfinite && !high.isInfinite && !low.isNaN && !high.isNaN
        }
      }
    }
    if (known) Some(out) else None
  }

  private def range(statistics: Statistics[_]): Option[(Double, Double)] =
    if (!statistics.hasNonNullValue) None
    else
      statistics match {
        case own: DoubleStatistics => Some((own.getMin, own.getMax))
        case own: FloatStatistics => Some((own.getMin.toDouble, own.getMax.toDouble))
        case own: IntStatistics => Some((own.getMin.toDouble, own.getMax.toDouble))
        case own: LongStatistics => Some((own.getMin.toDouble, own.getMax.toDouble))
        case _ => None
      }
}
