package reprise.shim.frame

import scala.collection.JavaConverters._
import scala.util.control.NonFatal

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.Path
import org.apache.parquet.format.{SchemaElement, Util}
import org.apache.parquet.schema.{LogicalTypeAnnotation, MessageType, PrimitiveType, Type}
import org.apache.spark.sql.execution.datasources.parquet.ParquetToSparkSchemaConverter
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.types._

import reprise.shim.protocol.ShimError

/**
 * The columns of a Parquet file, each looked at by itself: one that Spark can't read is no fault of
 * the others. What Spark's own writer notes beside the schema is not looked at, as no other reader
 * does.
 */
object ParquetColumns {

  /** @throws ShimError data when two columns have one exact name: Spark can't tell them apart */
  def of(path: String, message: MessageType, conf: SQLConf): FileColumns = {
    val fields = message.getFields.asScala.toIndexedSeq
    fields.map(_.getName).diff(fields.map(_.getName).distinct).headOption.foreach { name =>
      throw ShimError.data(
        s"data: expected columns with names of their own, got `$name` more than once in $path; rename one, or run with --engine local",
        "path" -> path, "column" -> name)
    }
    val converter = new ParquetToSparkSchemaConverter(conf)
    FileColumns.named(path, fields.map(columnOf(_, converter)))
  }

  private def columnOf(field: Type, converter: ParquetToSparkSchemaConverter): FileColumn =
    try {
      val stored = converter.convert(new MessageType("column", field)).head
      (field, field.getLogicalTypeAnnotation) match {
        case _ if FileColumn.isVariable(stored.name) =>
          FileColumn.unreadable(field.getName, FileColumn.variable(typeName(field)))
        case (_: PrimitiveType, time: LogicalTypeAnnotation.TimestampLogicalTypeAnnotation)
            if time.getUnit == LogicalTypeAnnotation.TimeUnit.NANOS && stored.dataType == LongType =>
          FileColumn(stored.name, Some(stored), TimestampType, "timestamp_ns", NanosToMicros(_, stored.name))
        case _ if !isKnown(stored.dataType) => FileColumn.unreadable(field.getName, typeName(field))
        case _ => FileColumn.plain(stored)
      }
    } catch { case NonFatal(_) => FileColumn.unreadable(field.getName, typeName(field)) }

  /** Newer Sparks have types that a query may not use (TIME) or that nothing here is made of. */
  private def isKnown(dataType: DataType): Boolean = dataType match {
    case struct: StructType => struct.fields.forall(field => isKnown(field.dataType))
    case array: ArrayType => isKnown(array.elementType)
    case map: MapType => isKnown(map.keyType) && isKnown(map.valueType)
    case _: NumericType | BooleanType | _: StringType | BinaryType | DateType | TimestampType | TimestampNTZType => true
    case _ => false
  }

  /** As the file says it: its logical type where it has one. */
  private def typeName(field: Type): String = (field, field.getLogicalTypeAnnotation) match {
    case (primitive: PrimitiveType, null) => primitive.getPrimitiveTypeName.toString
    case (_, null) => "STRUCT"
    case (_, annotation) => annotation.toString
  }

  /**
   * Columns of logical types that are newer than Spark's reader of Parquet, which then can't even
   * read the footer. None when that is not what is wrong with the file.
   */
  def unknownTypes(path: String, configuration: Configuration): Seq[String] =
    try {
      val at = new Path(path)
      val system = at.getFileSystem(configuration)
      val length = system.getFileStatus(at).getLen
      val in = system.open(at)
      try {
        in.seek(length - 8)
        val size = Integer.reverseBytes(in.readInt())
        in.seek(length - 8 - size)
        Util.readFileMetaData(in).getSchema.asScala.filter(isUnknown).map(_.getName).toSeq
      } finally in.close()
    } catch { case NonFatal(_) => Nil }

  private def isUnknown(element: SchemaElement): Boolean =
    element.isSetLogicalType && element.getLogicalType.getSetField == null
}
