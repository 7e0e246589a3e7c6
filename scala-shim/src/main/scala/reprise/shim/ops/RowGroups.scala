package reprise.shim.ops

import reprise.shim.block.Block

/** A block's rows sorted by group (counting sort, stable), without those outside 0 until groups. */
final class RowGroups(numbers: Block, groups: Int) {
  private val values = numbers.dense.values

  /** `order(starts(g) until starts(g + 1))` are the rows of group g. */
  val starts: Array[Int] = {
    val counts = new Array[Int](groups + 1)
    var i = 0
    while (i < values.length) {
      val group = groupOf(values(i))
      if (group >= 0) counts(group + 1) += 1
      i += 1
    }
    var g = 0
    while (g < groups) {
      counts(g + 1) += counts(g)
      g += 1
    }
    counts
  }

  val order: Array[Int] = {
    val next = starts.clone()
    val rows = new Array[Int](starts(groups))
    var i = 0
    while (i < values.length) {
      val group = groupOf(values(i))
      if (group >= 0) {
        rows(next(group)) = i
        next(group) += 1
      }
      i += 1
    }
    rows
  }

  def count: Int = order.length

  private def groupOf(value: Double): Int =
    if (value >= 0 && value < groups) {
      if (value != value.toInt) {
        throw reprise.shim.protocol.ShimError.data(s"group column: expected whole numbers, got $value")
      }
      value.toInt
    } else -1
}
