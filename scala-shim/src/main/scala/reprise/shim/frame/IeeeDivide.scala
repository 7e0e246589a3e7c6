package reprise.shim.frame

import org.apache.spark.sql.catalyst.expressions.{BinaryExpression, Expression}
import org.apache.spark.sql.catalyst.expressions.codegen.{CodegenContext, ExprCode}
import org.apache.spark.sql.types.{DataType, DoubleType}

/** Division of doubles by IEEE 754; Spark's own gives NULL or an error for a zero divisor. */
final case class IeeeDivide(left: Expression, right: Expression) extends BinaryExpression {
  override def dataType: DataType = DoubleType
  override def prettyName: String = "ieee_divide"

  override protected def nullSafeEval(a: Any, b: Any): Any = a.asInstanceOf[Double] / b.asInstanceOf[Double]

  override protected def doGenCode(ctx: CodegenContext, ev: ExprCode): ExprCode =
    defineCodeGen(ctx, ev, (a, b) => s"($a) / ($b)")

  override protected def withNewChildrenInternal(newLeft: Expression, newRight: Expression): IeeeDivide =
    copy(left = newLeft, right = newRight)
}
