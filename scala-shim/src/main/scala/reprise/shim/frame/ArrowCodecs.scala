package reprise.shim.frame

import java.io.{ByteArrayInputStream, DataInputStream, InputStream}

import scala.collection.JavaConverters._

import com.github.luben.zstd.ZstdInputStream
import net.jpountz.lz4.LZ4FrameInputStream
import org.apache.arrow.memory.{ArrowBuf, BufferAllocator}
import org.apache.arrow.vector.compression.{AbstractCompressionCodec, CompressionCodec, CompressionUtil, NoCompressionCodec}
import org.apache.arrow.vector.ipc.ArrowStreamReader
import org.apache.arrow.vector.ipc.message.{ArrowDictionaryBatch, ArrowRecordBatch}

/** Decompresses Arrow buffers by Spark's codecs, since its Arrow has none. Writes nothing. */
object ArrowCodecs extends CompressionCodec.Factory {
  def createCodec(kind: CompressionUtil.CodecType): CompressionCodec = kind match {
    case CompressionUtil.CodecType.NO_COMPRESSION => NoCompressionCodec.INSTANCE
    case CompressionUtil.CodecType.LZ4_FRAME => new Reading(kind, new LZ4FrameInputStream(_))
    case CompressionUtil.CodecType.ZSTD => new Reading(kind, new ZstdInputStream(_))
  }

  /** Asked for by the Arrow of Spark 4; only writers have a level. */
  def createCodec(kind: CompressionUtil.CodecType, level: Int): CompressionCodec = createCodec(kind)

  private final class Reading(kind: CompressionUtil.CodecType, open: InputStream => InputStream)
      extends AbstractCompressionCodec {

    protected def doDecompress(allocator: BufferAllocator, compressed: ArrowBuf): ArrowBuf = {
      val bytes = new Array[Byte]((compressed.writerIndex() - CompressionUtil.SIZE_OF_UNCOMPRESSED_LENGTH).toInt)
      compressed.getBytes(CompressionUtil.SIZE_OF_UNCOMPRESSED_LENGTH, bytes)
      val plain = new Array[Byte](readUncompressedLength(compressed).toInt)
      val in = new DataInputStream(open(new ByteArrayInputStream(bytes)))
      try in.readFully(plain)
      finally in.close()
      val buffer = allocator.buffer(plain.length)
      buffer.writeBytes(plain)
      buffer
    }

    protected def doCompress(allocator: BufferAllocator, plain: ArrowBuf): ArrowBuf =
      throw new UnsupportedOperationException("arrow: expected only to read")

    def getCodecType: CompressionUtil.CodecType = kind
  }
}

/** Arrow before 14 loses codecs at dictionaries (apache/arrow issue 37841), so they come plain. */
final class ArrowStream(in: InputStream, allocator: BufferAllocator)
    extends ArrowStreamReader(in, allocator, ArrowCodecs) {

  override protected def loadDictionary(batch: ArrowDictionaryBatch): Unit = {
    val packed = batch.getDictionary
    val kind = CompressionUtil.CodecType.fromCompressionType(packed.getBodyCompression.getCodec)
    if (kind == CompressionUtil.CodecType.NO_COMPRESSION) super.loadDictionary(batch)
    else {
      val codec = ArrowCodecs.createCodec(kind)
      val buffers = packed.getBuffers.asScala.map { buffer =>
        // The codec gives its operand back, and closing the batch does too.
        buffer.getReferenceManager.retain()
        if (buffer.writerIndex() > 0) codec.decompress(allocator, buffer) else buffer
      }
      val plain = new ArrowRecordBatch(packed.getLength, packed.getNodes, buffers.asJava)
      buffers.foreach(_.getReferenceManager.release())
      val isDelta = batch.isDelta
      val id = batch.getDictionaryId
      batch.close()
      super.loadDictionary(new ArrowDictionaryBatch(id, plain, isDelta))
    }
  }
}
