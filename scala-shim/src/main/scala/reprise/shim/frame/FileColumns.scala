package reprise.shim.frame

import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.catalyst.analysis.UnresolvedAttribute
import org.apache.spark.sql.catalyst.expressions.Expression
import org.apache.spark.sql.reprise.Columns
import org.apache.spark.sql.types._

/**
 * A column of a file: its name for people, which differs from every other whatever their case; how
 * it stands in the file; and, where Spark reads it as something else than it means, what makes the
 * one of the other.
 */
final case class FileColumn(
    name: String, stored: Option[StructField], dataType: DataType, typeName: String, convert: Expression => Expression)

object FileColumn {
  def plain(field: StructField): FileColumn =
    FileColumn(field.name, Some(field), field.dataType, field.dataType.simpleString, identity)

  /**
   * Spark tells its readers of Parquet and ORC the names of columns in a Hadoop configuration, which
   * replaces `${user.name}` by a setting or a variable of whichever machine reads: no such column is
   * then found, and every row lacks it.
   */
  def isVariable(name: String): Boolean = variables.findFirstIn(name).isDefined
  private val variables = "\\$\\{[^}$ ]*\\}".r

  def variable(typeName: String): String = s"$typeName under a name that Hadoop reads as a variable"

  /** Spark can't read it: there for those who ask for it, who are told so. */
  def unreadable(name: String, typeName: String): FileColumn =
    FileColumn(name, None, BinaryType, typeName, identity)
}

/** The columns of a file in its order. Invariant: their names are unique by DuckDB's rule. */
final case class FileColumns(path: String, columns: IndexedSeq[FileColumn]) {
  /** What is asked of Spark: only what it can read. */
  val stored: StructType = StructType(columns.flatMap(_.stored))

  /** The columns by their names, from a frame of the stored ones. */
  def of(frame: DataFrame): DataFrame =
    frame.select(columns.map { column =>
      val value = column.stored.fold[Expression](
        Refused(s"data: expected a column Spark can read, got `${column.name}` of type ${column.typeName} in $path; " +
          "leave it out, write it as another type, or run with --engine local", column.dataType)
      )(field => column.convert(UnresolvedAttribute(Seq(field.name))))
      Columns.of(value).as(column.name)
    }: _*)
}

object FileColumns {
  /** Of a file that Spark reads by the schema. */
  def apply(path: String, schema: StructType): FileColumns =
    named(path, schema.fields.toIndexedSeq.map { field =>
      if (FileColumn.isVariable(field.name)) FileColumn.unreadable(field.name, FileColumn.variable(field.dataType.simpleString))
      else FileColumn.plain(field)
    })

  def named(path: String, columns: IndexedSeq[FileColumn]): FileColumns =
    FileColumns(path, columns.zip(ColumnNames.unique(columns.map(_.name))).map { case (column, name) => column.copy(name = name) })
}
