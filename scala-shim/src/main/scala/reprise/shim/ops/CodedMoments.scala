package reprise.shim.ops

import reprise.shim.block.{Block, CodedRows, DenseBlock, EncodedBlock}

/**
 * Moments of encoded rows from their numbers and the places of their ones: a row of s numbers and c
 * ones adds s^2 / 2 products, s numbers for each one and 1 for each pair of these, whatever its
 * width. Sums are about one shift a group for a whole task, the means of its first numbers;
 * indicators, whose variance is near their mean, have none.
 */
final class CodedMoments(groups: Int, center: Boolean, side: Int) {
  private val p = side - 1
  private val counts = new Array[Double](groups)
  private val sums = new Array[Double](groups * p)
  private val grams = new Array[Double](DenseBlock.cells(groups.toLong * p, p))
  private val shifts: Array[Array[Double]] = new Array(groups)

  private val summed = new Array[Int](groups)

  /**
   * Adds rows to the sums, and the sums of a group to the moments of all as its rows come to be many.
   * @param parts the operands of [X Y], by `CodedMoments.serves`
   */
  def add(parts: Array[Block], rows: RowGroups, weights: Array[Double], total: Array[Double]): Unit = {
    var g = 0
    while (g < groups) {
      val count = rows.starts(g + 1) - rows.starts(g)
      if (count > 0) addGroup(g, parts, rows, weights)
      summed(g) += count
      if (summed(g) >= CodedMoments.SumRows) addTo(total, g)
      g += 1
    }
  }

  private def addGroup(g: Int, parts: Array[Block], rows: RowGroups, weights: Array[Double]): Unit = {
    val from = rows.starts(g)
    val until = rows.starts(g + 1)
    val coded = CodedMoments.codedOf(parts, rows.order, from, until)
    if (shifts(g) == null) shifts(g) = shiftOf(coded)
    val count = coded.places.length
    val numbers = coded.numbers
    if (center) {
      var at = 0
      while (at < numbers.length) {
        numbers(at) -= shifts(g)(coded.places(at % count))
        at += 1
      }
    }
    var i = 0
    while (i < until - from) {
      addRow(g, coded, i, if (weights == null) 1.0 else weights(rows.order(from + i)))
      i += 1
    }
  }

  private def shiftOf(coded: CodedRows): Array[Double] = {
    val shift = new Array[Double](p)
    val count = coded.places.length
    if (center && count > 0) {
      val sampled = math.min(coded.numbers.length / count, 4096)
      var at = 0
      while (at < sampled * count) {
        shift(coded.places(at % count)) += coded.numbers(at) / sampled
        at += 1
      }
    }
    shift
  }

  private def addRow(g: Int, coded: CodedRows, row: Int, weight: Double): Unit = {
    val base = g * p * p
    val places = coded.places
    val numbers = coded.numbers
    val ones = coded.ones
    val count = places.length
    val first = row * count
    val firstOne = row * coded.indicators
    counts(g) += weight
    var a = 0
    while (a < count) {
      val cell = weight * numbers(first + a)
      val at = base + places(a) * p
      sums(g * p + places(a)) += cell
      var b = a
      while (b < count) {
        grams(at + places(b)) += cell * numbers(first + b)
        b += 1
      }
      a += 1
    }
    var c = 0
    while (c < coded.indicators) {
      val one = ones(firstOne + c)
      if (one >= 0) {
        val at = base + one * p
        sums(g * p + one) += weight
        a = 0
        while (a < count) {
          grams(at + places(a)) += weight * numbers(first + a)
          a += 1
        }
        var d = c
        while (d < coded.indicators) {
          val other = ones(firstOne + d)
          if (other >= 0) grams(at + other) += weight
          d += 1
        }
      }
      c += 1
    }
  }

  /** Adds them to the moments of all groups, [groups * side, side]. */
  def addTo(total: Array[Double]): Unit = (0 until groups).foreach(addTo(total, _))

  private def addTo(total: Array[Double], g: Int): Unit =
    if (summed(g) > 0) {
      val gram = java.util.Arrays.copyOfRange(grams, g * p * p, (g + 1) * p * p)
      var i = 0
      while (i < p) {
        var j = 0
        while (j < i) {
          // A product lies in either triangle.
          val both = gram(i * p + j) + gram(j * p + i)
          gram(i * p + j) = both
          gram(j * p + i) = both
          j += 1
        }
        i += 1
      }
      val own = java.util.Arrays.copyOfRange(sums, g * p, (g + 1) * p)
      if (counts(g) != 0) {
        GroupMoments.add(total, g * side * side, side, counts(g), own, gram, if (center) shifts(g) else null)
      }
      java.util.Arrays.fill(grams, g * p * p, (g + 1) * p * p, 0.0)
      java.util.Arrays.fill(sums, g * p, (g + 1) * p, 0.0)
      counts(g) = 0
      summed(g) = 0
    }
}

object CodedMoments {
  private val MaxDenseColumns = 8
  /** With a chunk's rows at most what `driver/operators/group-gram.ts` lets one sum be over. */
  private val SumRows = 8192
  /** Sums of their own are kept up to 64 MiB a task. */
  val MaxCells: Int = 1 << 23

  /** Whether some operand is of one-hot features mostly, and the others are narrow. */
  def serves(parts: Array[Block]): Boolean =
    parts.exists(isCoded) && parts.forall(part => isCoded(part) || part.cols <= MaxDenseColumns)

  private def isCoded(block: Block): Boolean = block match {
    case encoded: EncodedBlock => encoded.isMostlyZero
    case _ => false
  }

  /** The rows `order(from until until)` of the operands side by side. */
  def codedOf(parts: Array[Block], order: Array[Int], from: Int, until: Int): CodedRows = {
    var offset = 0
    val pieces = parts.map { part =>
      val piece = part match {
        case encoded: EncodedBlock if encoded.isMostlyZero => encoded.coded(order, from, until, offset)
        case other =>
          val cells = new Array[Double]((until - from) * other.cols)
          other.addRows(order, from, until, cells, 0, other.cols)
          new CodedRows(Array.range(offset, offset + other.cols), cells, 0, new Array[Int](0))
      }
      offset += part.cols
      piece
    }
    pieces.reduceLeft(_.beside(_, until - from))
  }
}
