package reprise.shim.frame

import scala.collection.mutable

import org.apache.spark.sql.catalyst.analysis.UnresolvedAttribute
import org.apache.spark.sql.catalyst.expressions.Expression
import org.apache.spark.sql.types._

/**
 * Names of columns as DuckDB has them: letters of one name may differ in case from those of a
 * query, but no two columns of a file have names that differ in nothing else. Spark itself is told
 * to heed case, so that it finds `Id` and `ID` in a file.
 */
object ColumnNames {

  /** The names, a number behind each that was there before: `Id, ID` become `Id, ID_1`. */
  def unique(names: Seq[String]): IndexedSeq[String] = {
    val seen = mutable.Map[String, Int]()
    @annotation.tailrec
    def free(name: String): String = seen.get(lower(name)) match {
      case None =>
        seen(lower(name)) = 1
        name
      case Some(count) =>
        seen(lower(name)) = count + 1
        free(s"${name}_$count")
    }
    names.map(free).toIndexedSeq
  }

  /** The expression with names of columns, and of fields in them, as the schema spells them. */
  def spelled(expression: Expression, schema: StructType): Expression = expression.transform {
    case attribute: UnresolvedAttribute => UnresolvedAttribute(spelled(attribute.nameParts, schema))
  }

  private def spelled(parts: Seq[String], dataType: DataType): Seq[String] = (parts, dataType) match {
    case (head +: rest, fields: StructType) =>
      val field = fields.fields.find(_.name == head)
        .orElse(fields.fields.find(one => lower(one.name) == lower(head)))
      field.fold(parts)(found => found.name +: spelled(rest, found.dataType))
    case (_, array: ArrayType) => spelled(parts, array.elementType)
    case _ => parts
  }

  /** Only letters of ASCII have a case, as for DuckDB. */
  private def lower(name: String): String =
    name.map(char => if (char >= 'A' && char <= 'Z') (char + 32).toChar else char)
}
