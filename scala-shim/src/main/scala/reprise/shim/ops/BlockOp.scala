package reprise.shim.ops

import com.fasterxml.jackson.databind.JsonNode

import reprise.shim.block.{Block, DenseBlock, WholeBlock}

/** Shape of a value, and whether its cells are of float32. */
final case class Shape(rows: Long, cols: Int, isSingle: Boolean = false) {
  def bytes: Long = rows * cols * (if (isSingle) 4 else 8)
}

/** What an operator is compiled from: attributes, and the shapes around it from the driver. */
final case class OpSite(op: String, attrs: JsonNode, inputs: IndexedSeq[Shape], out: Shape)

/**
 * An operator of the shim: turns a site into a kernel that tasks run. Semantics are those of
 * `driver/operators/<name>.ts`; one file per family, listed in `BlockOps`.
 */
trait BlockOp {
  def name: String
  def compile(site: OpSite): Kernel
}

/** Runs in tasks; holds its attributes parsed. */
sealed trait Kernel extends Serializable

/** Makes rows from their global position. */
trait SourceKernel extends Kernel {
  def block(startRow: Long, rows: Int): Block
}

/** Row i of the result needs only row i of blocked operands. On whole operands `startRow` is 0. */
trait MapKernel extends Kernel {
  def apply(operands: Array[Block], startRow: Long): Block
}

/** Takes rows to other row numbers, so its result and its operands need different passes. */
trait MoveKernel extends Kernel {
  /** Operands and result whole. */
  def whole(operands: Array[Block]): Block

  def move: Move
}

/** Where rows go; `program/MovedRows.scala` carries it out. */
sealed trait Move extends Serializable
object Move {
  /** Rows `from until until` of the operand, which then start at 0; columns alike where given. */
  final case class Cut(from: Long, until: Long, columns: Option[(Int, Int)]) extends Move
  /** The operands' rows one after the other. */
  case object Stack extends Move
  /** The rows of the first operand where the second is not zero; there must be `rows` of them. */
  final case class Select(rows: Long) extends Move
}

/** Folds blocks into one small value. */
trait ReduceKernel extends Kernel {
  def start(): Accumulator

  /** Merges the values of two runs of rows, the first's rows before the second's. May reuse `a`. */
  def merge(a: DenseBlock, b: DenseBlock): DenseBlock

  /** Turns the merged value into the operator's result. */
  def finish(merged: DenseBlock): WholeBlock = merged
}

trait Accumulator {
  def add(operands: Array[Block], startRow: Long): Unit
  def value: DenseBlock
}

object Merge {
  def sum(a: DenseBlock, b: DenseBlock): DenseBlock = {
    var i = 0
    while (i < a.values.length) {
      a.values(i) += b.values(i)
      i += 1
    }
    a
  }
}
