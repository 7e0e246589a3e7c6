package reprise.shim.ops

/** Every operator the shim has a kernel for; the driver reads the names with the verb `hello`. */
object BlockOps {
  val all: Seq[BlockOp] =
    Seq(GroupGram, ColumnMoments, GroupCross, GroupLoss, GroupSums, HeldOut, TakeRows, KFold, Rand, SeqOp, Fill, Tsmm, MatMul, MmChain,
      Slice, CBind, RBind, SelectRows, RepeatCols, TopK, Transpose, WeightedLoss, WeightedCrossEntropy, WeightedProduct, WeightedGram,
      StackProduct, FoldCols, Softmax, Nonnegative,
      BestColumns, RegroupSums,
      new FixedOp("cast", new CastKernel)) ++
      Elementwise.all ++ Aggregates.all

  val byName: Map[String, BlockOp] = all.map(op => op.name -> op).toMap
}
