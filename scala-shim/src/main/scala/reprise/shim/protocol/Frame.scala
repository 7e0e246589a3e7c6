package reprise.shim.protocol

import java.io.OutputStream
import java.nio.{ByteBuffer, ByteOrder}

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.ObjectNode

import reprise.shim.block.{Block, SparseBlock, WholeBlock}
import reprise.shim.ops.Shape

import Json._

/**
 * One message: a JSON header and binary payloads; the layout is stated in
 * `spark-bridge/channel/wire.ts`. Cells are little-endian float64 or float32, row-major. Lengths
 * are checked before anything is read.
 */
final class Frame(val header: ObjectNode, val payloads: IndexedSeq[Payload]) {

  /** Writes the frame; payloads are converted in pieces, so a large matrix is not copied whole. */
  def writeTo(out: OutputStream): Unit = {
    header.set[JsonNode]("payloads", Json.arr(payloads.map(payload => Json.int(payload.length))))
    val json = Json.write(header)
    val length = json.length + Frame.padding(json.length)
    val prefix = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN)
    prefix.putInt(Frame.Magic).putInt(length)
    out.write(prefix.array())
    out.write(json)
    out.write(Array.fill[Byte](length - json.length)(' '))
    payloads.foreach { payload =>
      payload.writeTo(out)
      out.write(new Array[Byte](Frame.padding(payload.length)))
    }
  }
}

object Frame {
  val Magic: Int = 0x31525052

  def padding(length: Long): Int = ((8 - (length & 7)) & 7).toInt

  def decode(bytes: Array[Byte]): Frame = {
    val buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
    if (bytes.length < 8 || buffer.getInt(0) != Magic) {
      throw damaged(s"the mark RPR1, got ${bytes.length} bytes without it")
    }
    val headerLength = buffer.getInt(4)
    if (headerLength < 0 || headerLength > bytes.length - 8) throw damaged("a whole header")
    val header = Json.parse(bytes, 8, headerLength) match {
      case node: ObjectNode => node
      case _ => throw damaged("a JSON object as header")
    }
    var at = 8 + headerLength
    val payloads = header.items("payloads").map { node =>
      val length = node.longValue
      if (length < 0 || length > bytes.length - at) throw damaged(s"a payload of $length bytes")
      val payload = new BytesPayload(bytes, at, length.toInt)
      at += length.toInt + padding(length)
      payload
    }
    new Frame(header, payloads.toIndexedSeq)
  }

  private def damaged(expected: String): ShimError =
    ShimError.internal(s"frame: expected $expected")
}

/** Bytes of a payload, from either side. */
sealed trait Payload {
  def length: Long
  def writeTo(out: OutputStream): Unit
  /** `Array[Float]` or `Array[Double]`. */
  def cells(isSingle: Boolean): AnyRef
  /** A matrix of that shape; with `nonZeros` in compressed rows, as `csrToBytes` of the driver writes it. */
  def block(shape: Shape, nonZeros: Option[Int]): Block = nonZeros match {
    case None => WholeBlock(shape.rows.toInt, shape.cols, cells(shape.isSingle))
    case Some(count) => compressed(shape, count)
  }
  protected def compressed(shape: Shape, count: Int): SparseBlock
}

/** A payload as it came: a slice of the frame's bytes. */
final class BytesPayload(bytes: Array[Byte], offset: Int, size: Int) extends Payload {
  def length: Long = size.toLong
  def writeTo(out: OutputStream): Unit = out.write(bytes, offset, size)
  def cells(isSingle: Boolean): AnyRef = {
    val buffer = ByteBuffer.wrap(bytes, offset, size).order(ByteOrder.LITTLE_ENDIAN)
    if (isSingle) {
      val values = new Array[Float](size / 4)
      buffer.asFloatBuffer().get(values)
      values
    } else {
      val values = new Array[Double](size / 8)
      buffer.asDoubleBuffer().get(values)
      values
    }
  }

  protected def compressed(shape: Shape, count: Int): SparseBlock = {
    val rows = shape.rows.toInt
    val width = if (shape.isSingle) 4 else 8
    if (size != count.toLong * (width + 4) + 4L * (rows + 1)) {
      throw ShimError.internal(s"frame: expected compressed rows of $count cells, got $size bytes")
    }
    def ints(from: Int, length: Int): Array[Int] = {
      val out = new Array[Int](length)
      ByteBuffer.wrap(bytes, offset + from, 4 * length).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer().get(out)
      out
    }
    val held = ByteBuffer.wrap(bytes, offset, count * width).order(ByteOrder.LITTLE_ENDIAN)
    val values = new Array[Double](count)
    if (shape.isSingle) {
      val singles = new Array[Float](count)
      held.asFloatBuffer().get(singles)
      var k = 0
      while (k < count) {
        values(k) = singles(k).toDouble
        k += 1
      }
    } else held.asDoubleBuffer().get(values)
    new SparseBlock(rows, shape.cols, ints(count * width, rows + 1), ints(count * width + 4 * (rows + 1), count), values)
  }
}

/** A payload made here: the cells of a matrix, `Array[Double]` or `Array[Float]`. */
final class CellsPayload(values: AnyRef) extends Payload {
  private val count = java.lang.reflect.Array.getLength(values)
  private val width = if (values.isInstanceOf[Array[Float]]) 4 else 8
  def length: Long = count.toLong * width
  def cells(isSingle: Boolean): AnyRef = values
  protected def compressed(shape: Shape, count: Int): SparseBlock =
    throw ShimError.internal("frame: expected compressed rows from outside, got cells made here")
  def writeTo(out: OutputStream): Unit = {
    val buffer = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN)
    var at = 0
    while (at < count) {
      val some = math.min(buffer.capacity / width, count - at)
      buffer.clear()
      values match {
        case doubles: Array[Double] => buffer.asDoubleBuffer().put(doubles, at, some)
        case floats: Array[Float] => buffer.asFloatBuffer().put(floats, at, some)
      }
      out.write(buffer.array(), 0, some * width)
      at += some
    }
  }
}
