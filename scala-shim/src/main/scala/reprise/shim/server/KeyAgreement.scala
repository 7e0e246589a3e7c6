package reprise.shim.server

import java.math.BigInteger
import java.nio.charset.StandardCharsets.UTF_8
import java.security.{KeyFactory, KeyPairGenerator, MessageDigest}
import java.security.interfaces.ECPublicKey
import java.security.spec.{ECGenParameterSpec, ECPoint, ECPublicKeySpec}
import javax.crypto.{KeyAgreement => Agreement, Mac}
import javax.crypto.spec.SecretKeySpec

import reprise.shim.protocol.ShimError

/** A token both sides know and nobody said; `publicKey` is what the driver needs to make it. */
final case class Agreed(token: String, publicKey: String)

/**
 * How a token comes to the shim where others may read what travels: statements, logs and arguments
 * of a batch. Each side sends a public key of the curve P-256 (hex, uncompressed point); the token
 * is a digest of the secret that follows from either private key and both public ones. The other
 * half is `spark-bridge/livy/key-agreement.ts`.
 */
object KeyAgreement {
  private val Label = "reprise direct 1\n"
  private val Coordinate = 32

  /** @throws ShimError when `theirs` is no point of the curve */
  def agree(theirs: String): Agreed = {
    val generator = KeyPairGenerator.getInstance("EC")
    generator.initialize(new ECGenParameterSpec("secp256r1"))
    val pair = generator.generateKeyPair()
    val own = pair.getPublic.asInstanceOf[ECPublicKey]
    try {
      val bytes = unhex(theirs)
      require(bytes.length == 1 + 2 * Coordinate && bytes(0) == 4, "expected an uncompressed point")
      val point = new ECPoint(
        new BigInteger(1, bytes.slice(1, 1 + Coordinate)),
        new BigInteger(1, bytes.slice(1 + Coordinate, bytes.length)))
      val agreement = Agreement.getInstance("ECDH")
      agreement.init(pair.getPrivate)
      agreement.doPhase(KeyFactory.getInstance("EC").generatePublic(new ECPublicKeySpec(point, own.getParams)), true)
      val ours = Array[Byte](4) ++ fixed(own.getW.getAffineX) ++ fixed(own.getW.getAffineY)
      val digest = MessageDigest.getInstance("SHA-256")
      Seq(Label.getBytes(UTF_8), agreement.generateSecret(), bytes, ours).foreach(digest.update)
      Agreed(hex(digest.digest()), hex(ours))
    } catch {
      case error @ (_: java.security.GeneralSecurityException | _: IllegalArgumentException) =>
        throw new ShimError("config", s"shim: expected a public key of P-256, got ${error.getMessage}")
    }
  }

  /** Shows that the token is known without saying it. */
  def prove(token: String, challenge: Array[Byte]): String = {
    val mac = Mac.getInstance("HmacSHA256")
    mac.init(new SecretKeySpec(token.getBytes(UTF_8), "HmacSHA256"))
    mac.update("reprise proof\n".getBytes(UTF_8))
    hex(mac.doFinal(challenge))
  }

  private def fixed(value: BigInteger): Array[Byte] = {
    val bytes = value.toByteArray
    val digits = if (bytes.length > Coordinate) bytes.takeRight(Coordinate) else bytes
    new Array[Byte](Coordinate - digits.length) ++ digits
  }

  private def hex(bytes: Array[Byte]): String = bytes.map(byte => f"${byte & 0xff}%02x").mkString

  private def unhex(text: String): Array[Byte] =
    text.grouped(2).map(pair => Integer.parseInt(pair, 16).toByte).toArray
}
