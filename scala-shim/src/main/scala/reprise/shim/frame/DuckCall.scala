package reprise.shim.frame

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.Expression
import org.apache.spark.sql.catalyst.expressions.codegen.{CodeGenerator, CodegenContext, ExprCode}
import org.apache.spark.sql.catalyst.expressions.codegen.Block.BlockHelper
import org.apache.spark.sql.types.DataType

import reprise.shim.protocol.ShimError

/** A value that a function can't take; the message ends `expected .., got ..`. */
final class DuckFault(message: String) extends RuntimeException(message)

/** A function of DuckDB over values in Spark's own form; none of them is null. Null is NULL. */
trait DuckFunction extends Serializable {
  def dataType: DataType
  def call(arguments: Array[Any]): Any
}

/**
 * A call of one of `DuckFunctions`: NULL where an argument is. The driver prints arguments of the
 * very types a function takes, so nothing is cast here.
 */
final case class DuckCall(name: String, children: Seq[Expression], shown: String) extends Expression {
  @transient private lazy val function = DuckFunctions.byName(name)

  override def dataType: DataType = function.dataType
  override def nullable: Boolean = true
  override def prettyName: String = name
  override lazy val foldable: Boolean = children.forall(_.foldable)

  override def eval(row: InternalRow): Any = {
    val arguments = new Array[Any](children.length)
    var i = 0
    while (i < arguments.length) {
      val value = children(i).eval(row)
      if (value == null) return null
      arguments(i) = value
      i += 1
    }
    call(arguments)
  }

  /** Of arguments none of which is null. Called from generated code. */
  def call(arguments: Array[Any]): Any =
    try function.call(arguments)
    catch {
      case error: DuckFault =>
        throw ShimError.data(s"expression `$shown`: expected ${error.getMessage}", "expression" -> shown)
    }

  /** Arguments are computed by generated code, the first that is null ends it, as in `eval`. */
  override protected def doGenCode(ctx: CodegenContext, ev: ExprCode): ExprCode = {
    val self = ctx.addReferenceObj("duckCall", this, classOf[DuckCall].getName)
    val arguments = ctx.freshName("arguments")
    val result = ctx.freshName("result")
    val boxed = CodeGenerator.boxedType(dataType)
    val called = s"""
      Object $result = $self.call($arguments);
      ${ev.isNull} = $result == null;
      if (!${ev.isNull}) ${ev.value} = ($boxed) $result;"""
    val body = children.map(_.genCode(ctx)).zipWithIndex.foldRight(called) { case ((argument, i), inner) =>
      s"""
      ${argument.code}
      if (!${argument.isNull}) {
        $arguments[$i] = ${argument.value};
        $inner
      }"""
    }
    ev.copy(code = code"""
      boolean ${ev.isNull} = true;
      ${CodeGenerator.javaType(dataType)} ${ev.value} = ${CodeGenerator.defaultValue(dataType)};
      Object[] $arguments = new Object[${children.length}];
      $body""")
  }

  override protected def withNewChildrenInternal(newChildren: IndexedSeq[Expression]): DuckCall =
    copy(children = newChildren)
}
