package reprise.shim.ops

import reprise.shim.block.{Block, DenseBlock, SingleBlock, WholeBlock}

/**
 * Makes a kernel over doubles one whose result is of float32: operands widen themselves, the result
 * is rounded once. Reductions keep doubles until they are finished.
 */
object Rounded {
  def apply(kernel: Kernel): Kernel = kernel match {
    case source: SourceKernel =>
      new SourceKernel {
        def block(startRow: Long, rows: Int): Block = round(source.block(startRow, rows))
      }
    case map: MapKernel =>
      new MapKernel {
        def apply(operands: Array[Block], startRow: Long): Block = round(map(operands, startRow))
      }
    case moving: MoveKernel =>
      new MoveKernel {
        def whole(operands: Array[Block]): Block = round(moving.whole(operands))
        def move: Move = moving.move
      }
    case reduce: ReduceKernel =>
      new ReduceKernel {
        def start(): Accumulator = reduce.start()
        def merge(a: DenseBlock, b: DenseBlock): DenseBlock = reduce.merge(a, b)
        override def finish(merged: DenseBlock): WholeBlock = SingleBlock.of(reduce.finish(merged))
      }
  }

  /** What is compressed stays so, with rounded doubles. */
  private def round(block: Block): Block = block.sparse match {
    case Some(sparse) => sparse.withValues(sparse.values.map(_.toFloat.toDouble))
    case None => SingleBlock.of(block)
  }
}

/** `cast`: the same cells as doubles; `Rounded` makes them float32 where that is wanted. */
final class CastKernel extends MapKernel {
  def apply(operands: Array[Block], startRow: Long): Block = operands(0).sparse.getOrElse(operands(0).dense)
}
