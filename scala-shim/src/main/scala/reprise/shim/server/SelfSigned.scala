package reprise.shim.server

import java.io.{ByteArrayInputStream, ByteArrayOutputStream}
import java.math.BigInteger
import java.nio.charset.StandardCharsets.{US_ASCII, UTF_8}
import java.security.{KeyPairGenerator, KeyStore, SecureRandom, Signature}
import java.security.cert.CertificateFactory
import java.security.spec.ECGenParameterSpec
import javax.net.ssl.{KeyManagerFactory, SSLContext}

/** A TLS server's identity: `certificate` (DER, not secret) is what the other side must find. */
final case class TlsIdentity(certificate: Array[Byte], context: SSLContext)

/**
 * A key on P-256 and a certificate over it, made for one server and never written anywhere. The
 * driver is told the whole certificate by Livy and trusts no other, so names and dates in it mean
 * nothing. The JDK has no public API that makes certificates; this is the least that RFC 5280 asks
 * for (version 1, no extensions), in DER.
 */
object SelfSigned {
  // SEQUENCE { OBJECT IDENTIFIER ecdsa-with-SHA256 }
  private val EcdsaSha256 = der(0x30, bytes(0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
  private val CommonName = bytes(0x06, 0x03, 0x55, 0x04, 0x03)

  def create(): TlsIdentity = {
    val generator = KeyPairGenerator.getInstance("EC")
    generator.initialize(new ECGenParameterSpec("secp256r1"))
    val pair = generator.generateKeyPair()
    val name = der(0x30, der(0x31, der(0x30, CommonName, der(0x0c, "reprise-shim".getBytes(UTF_8)))))
    // The clocks of two machines differ, and the key lives no longer than this process.
    val validity = der(0x30, time("700101000000Z"), time("491231235959Z"))
    val serial = der(0x02, new BigInteger(63, new SecureRandom()).setBit(62).toByteArray)
    val body = der(0x30, serial, EcdsaSha256, name, validity, name, pair.getPublic.getEncoded)
    val signer = Signature.getInstance("SHA256withECDSA")
    signer.initSign(pair.getPrivate)
    signer.update(body)
    val certificate = der(0x30, body, EcdsaSha256, der(0x03, bytes(0), signer.sign()))
    val password = Array.empty[Char]
    val keys = KeyStore.getInstance("PKCS12")
    keys.load(null, password)
    val parsed = CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(certificate))
    keys.setKeyEntry("shim", pair.getPrivate, password, Array(parsed))
    val managers = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm)
    managers.init(keys, password)
    val context = SSLContext.getInstance("TLS")
    context.init(managers.getKeyManagers, null, null)
    TlsIdentity(certificate, context)
  }

  private def time(text: String): Array[Byte] = der(0x17, text.getBytes(US_ASCII))

  private def bytes(values: Int*): Array[Byte] = values.map(_.toByte).toArray

  /** Tag, length, contents; lengths below 64 KiB. */
  private def der(tag: Int, parts: Array[Byte]*): Array[Byte] = {
    val length = parts.map(_.length).sum
    val out = new ByteArrayOutputStream(length + 4)
    out.write(tag)
    if (length < 0x80) out.write(length)
    else if (length < 0x100) out.write(bytes(0x81, length))
    else out.write(bytes(0x82, length >> 8, length))
    parts.foreach(part => out.write(part))
    out.toByteArray
  }
}
