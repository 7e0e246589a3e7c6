package reprise.shim.block

/** A raw column of a chunk: numbers (NaN if missing) or codes (-1 missing, -2 unlisted). */
sealed trait RawVector extends Serializable {
  def bytes: Long
  def slice(from: Int, until: Int): RawVector
}

final class NumberVector(val values: Array[Double]) extends RawVector {
  def bytes: Long = values.length * 8L + 16
  def slice(from: Int, until: Int): RawVector = new NumberVector(values.slice(from, until))
}

/** Codes of up to 126 categories. */
final class ByteCodes(val values: Array[Byte]) extends RawVector {
  def bytes: Long = values.length + 16L
  def slice(from: Int, until: Int): RawVector = new ByteCodes(values.slice(from, until))
}

final class IntCodes(val values: Array[Int]) extends RawVector {
  def bytes: Long = values.length * 4L + 16
  def slice(from: Int, until: Int): RawVector = new IntCodes(values.slice(from, until))
}

/** Hashed texts: row i has the cells `starts(i) until starts(i + 1)` in ascending columns. */
final class HashedVector(val starts: Array[Int], val columns: Array[Int], val values: Array[Double])
    extends RawVector {
  def bytes: Long = starts.length * 4L + columns.length * 12L + 48
  def slice(from: Int, until: Int): RawVector = {
    val own = java.util.Arrays.copyOfRange(starts, from, until + 1).map(_ - starts(from))
    new HashedVector(
      own, columns.slice(starts(from), starts(until)), values.slice(starts(from), starts(until)))
  }
}

/** How a raw column fills its output columns, by `driver/operators/encode-block.ts`. */
sealed trait FeatureCode extends Serializable {
  def name: String
  def width: Int
}

object FeatureCode {
  /** `isSingle`: rounded to float32. */
  final case class Number(name: String, failsOnMissing: Boolean, isSingle: Boolean) extends FeatureCode {
    def width = 1
  }

  final case class Missing(name: String) extends FeatureCode { def width = 1 }

  /** `otherColumn` and `missingColumn` are -1 where there is none. */
  final case class OneHot(name: String, categories: Int, otherColumn: Int, missingColumn: Int, width: Int)
      extends FeatureCode

  final case class Bin(name: String, edges: Array[Double], hasMissing: Boolean) extends FeatureCode {
    def width: Int = edges.length - 1 + (if (hasMissing) 1 else 0)
  }

  /** Rows of hashed text; a block that has some is made of compressed rows, see `HashedBlock`. */
  final case class Hashed(name: String, width: Int, isSingle: Boolean) extends FeatureCode

  final case class Mapped(name: String, values: Array[Double], fallback: Double) extends FeatureCode {
    def width = 1
  }
}

/**
 * A block of an encoded frame, kept as its raw columns and expanded on demand: 60 bytes a row
 * instead of 1200 for a hundred and fifty one-hot columns, and expanding is cheaper than reading
 * that back from memory.
 */
final class EncodedBlock(val rows: Int, val cols: Int, val features: Array[FeatureCode], val columns: Array[RawVector])
    extends Block {

  def bytes: Long = columns.iterator.map(_.bytes).sum + 64

  def dense: DenseBlock = {
    val out = DenseBlock.zeros(rows, cols)
    addRows(Array.range(0, rows), 0, rows, out.values, 0, cols)
    out
  }

  def addRows(order: Array[Int], from: Int, until: Int, out: Array[Double], at: Int, stride: Int): Unit = {
    var column = at
    var f = 0
    while (f < features.length) {
      addFeature(f, new EncodedRows(order, from, until, out, column, stride))
      column += features(f).width
      f += 1
    }
  }

  private def addFeature(f: Int, target: EncodedRows): Unit = columns(f) match {
    case numbers: NumberVector => addNumbers(features(f), numbers.values, target)
    case codes: ByteCodes => addCodes(features(f), i => codes.values(i).toInt, target)
    case codes: IntCodes => addCodes(features(f), i => codes.values(i), target)
    case _: HashedVector => throw new IllegalStateException("encode: expected no hashed text in an encoded block")
  }

  /** The columns as they were read, if these are all there is to them: numbers, none missing. */
  def numbers: Option[Array[Array[Double]]] = {
    val own = features.zip(columns).collect {
      case (FeatureCode.Number(_, true, false), numbers: NumberVector) => numbers.values
    }
    if (own.length == features.length) Some(own) else None
  }

  /** Whether rows are mostly zeros by their features alone. */
  def isMostlyZero: Boolean = cols >= 24 && features.length * 5 <= cols

  /**
   * Compressed rows, where products of these are less work than of dense ones: made anew on each
   * call, since that is cheaper than keeping them.
   */
  override def sparse: Option[SparseBlock] =
    if (cols < EncodedBlock.SparseWidth * features.length) None
    else {
      val own = coded(Array.range(0, rows), 0, rows, 0)
      val builder = new SparseBuilder(rows, cols, rows * features.length)
      val width = own.places.length
      var i = 0
      while (i < rows) {
        var number = 0
        var indicator = 0
        var f = 0
        while (f < features.length) {
          if (EncodedBlock.isNumber(features(f))) {
            builder.add(i, own.places(number), own.numbers(i * width + number))
            number += 1
          } else {
            val column = own.ones(i * own.indicators + indicator)
            if (column >= 0) builder.add(i, column, 1.0)
            indicator += 1
          }
          f += 1
        }
        i += 1
      }
      Some(builder.result)
    }

  /** The rows `order(from until until)` as numbers and ones, the first column being `offset`. */
  def coded(order: Array[Int], from: Int, until: Int, offset: Int): CodedRows = {
    val count = until - from
    val isNumber = features.map(EncodedBlock.isNumber)
    val width = isNumber.count(identity)
    val indicators = features.length - width
    val numbers = new Array[Double](DenseBlock.cells(count, width))
    val ones = new Array[Int](DenseBlock.cells(count, indicators))
    val places = new Array[Int](width)
    var column = offset
    var number = 0
    var indicator = 0
    var f = 0
    while (f < features.length) {
      if (isNumber(f)) {
        addFeature(f, new EncodedRows(order, from, until, numbers, number, width))
        places(number) = column
        number += 1
      } else {
        writeOnes(f, order, from, until, ones, indicator, indicators, column)
        indicator += 1
      }
      column += features(f).width
      f += 1
    }
    new CodedRows(places, numbers, indicators, ones)
  }

  /** For each row the column of an indicator that is 1, or -1. */
  private def writeOnes(
      f: Int, order: Array[Int], from: Int, until: Int, out: Array[Int], at: Int, stride: Int, first: Int): Unit = {
    val columnOf = EncodedBlock.columnOf(features(f), columns(f))
    var target = at
    var i = from
    while (i < until) {
      val column = columnOf(order(i))
      out(target) = if (column >= 0) first + column else -1
      target += stride
      i += 1
    }
  }

  override def sliceRows(from: Int, until: Int): Block =
    if (from == 0 && until == rows) this
    else new EncodedBlock(until - from, cols, features, columns.map(_.slice(from, until)))

  private def addNumbers(feature: FeatureCode, values: Array[Double], rows: EncodedRows): Unit = {
    import rows._
    var target = at
    var i = from
    feature match {
      case number: FeatureCode.Number =>
        while (i < until) {
          val value = values(order(i))
          if (!value.isNaN) out(target) += (if (number.isSingle) value.toFloat.toDouble else value)
          target += stride
          i += 1
        }
      case _: FeatureCode.Missing =>
        while (i < until) {
          if (values(order(i)).isNaN) out(target) += 1
          target += stride
          i += 1
        }
      case bin: FeatureCode.Bin =>
        while (i < until) {
          val column = EncodedBlock.binOf(bin, values(order(i)))
          if (column >= 0) out(target + column) += 1
          target += stride
          i += 1
        }
      case other => throw new IllegalStateException(s"encode: expected codes for ${other.name}, got numbers")
    }
  }

  /** `targets(code + 2)` is a code's output column, or -1; `Mapped` adds its value instead. */
  private def addCodes(feature: FeatureCode, codeOf: Int => Int, rows: EncodedRows): Unit = {
    import rows._
    val targets = EncodedBlock.codeTargets(feature)
    var target = at
    var i = from
    feature match {
      case mapped: FeatureCode.Mapped =>
        while (i < until) {
          val code = codeOf(order(i))
          out(target) += (if (code >= 0) mapped.values(code) else mapped.fallback)
          target += stride
          i += 1
        }
      case _ =>
        while (i < until) {
          val column = targets(codeOf(order(i)) + 2)
          if (column >= 0) out(target + column) += 1
          target += stride
          i += 1
        }
    }
  }
}

/** The rows of features of which one is hashed text, compressed. */
object HashedBlock {
  def of(rows: Int, cols: Int, features: Array[FeatureCode], columns: Array[RawVector]): SparseBlock = {
    val numbers = features.indices.filter(f => EncodedBlock.isNumber(features(f)))
    val beside = numbers.map(f => f -> new EncodedBlock(rows, 1, Array(features(f)), Array(columns(f))).dense.values).toMap
    val placeOf: Array[Int => Int] = features.indices.map { f =>
      if (EncodedBlock.isNumber(features(f)) || columns(f).isInstanceOf[HashedVector]) (_: Int) => -1
      else EncodedBlock.columnOf(features(f), columns(f))
    }.toArray
    val builder = new SparseBuilder(rows, cols, rows * (features.length + 16))
    var i = 0
    while (i < rows) {
      var first = 0
      var f = 0
      while (f < features.length) {
        columns(f) match {
          case hashed: HashedVector => addHashed(builder, i, first, hashed, features(f))
          case _ if beside.contains(f) => builder.add(i, first, beside(f)(i))
          case _ =>
            val column = placeOf(f)(i)
            if (column >= 0) builder.add(i, first + column, 1.0)
        }
        first += features(f).width
        f += 1
      }
      i += 1
    }
    builder.result
  }

  private def addHashed(builder: SparseBuilder, row: Int, first: Int, hashed: HashedVector, feature: FeatureCode): Unit = {
    val isSingle = feature match {
      case own: FeatureCode.Hashed => own.isSingle
      case other => throw new IllegalStateException(s"encode: expected no hashed text for ${other.name}")
    }
    var k = hashed.starts(row)
    while (k < hashed.starts(row + 1)) {
      val value = hashed.values(k)
      builder.add(row, first + hashed.columns(k), if (isSingle) value.toFloat.toDouble else value)
      k += 1
    }
  }
}

/** Rows `order(from until until)`, and where each one's run of cells lies in `out`. */
private final class EncodedRows(
    val order: Array[Int], val from: Int, val until: Int, val out: Array[Double], val at: Int, val stride: Int)

object EncodedBlock {
  /** Columns a feature from which products skip the zeros, as on the host: see `CODED_PRODUCTS`. */
  val SparseWidth = 25

  private val none = new Array[Int](0)

  def isNumber(feature: FeatureCode): Boolean = feature match {
    case _: FeatureCode.Number | _: FeatureCode.Mapped => true
    case _ => false
  }

  /** Which column of an indicator a row has its 1 in, or -1. */
  def columnOf(feature: FeatureCode, column: RawVector): Int => Int = {
    val targets = codeTargets(feature)
    (feature, column) match {
      case (_: FeatureCode.Missing, numbers: NumberVector) => i => if (numbers.values(i).isNaN) 0 else -1
      case (bin: FeatureCode.Bin, numbers: NumberVector) => i => binOf(bin, numbers.values(i))
      case (_, codes: ByteCodes) => i => targets(codes.values(i) + 2)
      case (_, codes: IntCodes) => i => targets(codes.values(i) + 2)
      case _ => throw new IllegalStateException(s"encode: expected codes for ${feature.name}, got numbers")
    }
  }

  private def codeTargets(feature: FeatureCode): Array[Int] = feature match {
    case hot: FeatureCode.OneHot =>
      val targets = new Array[Int](hot.categories + 2)
      targets(0) = hot.otherColumn
      // Without a column of their own, missing values count as other.
      targets(1) = if (hot.missingColumn >= 0) hot.missingColumn else hot.otherColumn
      var code = 0
      while (code < hot.categories) {
        targets(code + 2) = code
        code += 1
      }
      targets
    case _ => none
  }

  private def binOf(bin: FeatureCode.Bin, value: Double): Int = {
    val bins = bin.edges.length - 1
    if (value.isNaN) {
      if (bin.hasMissing) bins else -1
    } else {
      var low = 0
      var high = bins - 1
      while (low < high) {
        val middle = (low + high + 1) >> 1
        if (value >= bin.edges(middle)) low = middle else high = middle - 1
      }
      low
    }
  }
}
