/**
 * A token that both sides know and nobody said: statements, logs and arguments of a batch are for
 * others to read, so only public keys travel there. Elliptic-curve Diffie-Hellman over P-256 (NIST
 * SP 800-56A); the token is a digest of the shared secret and both public keys. The other half is
 * `scala-shim/.../server/KeyAgreement.scala`.
 */
import { createECDH, createHash, createHmac } from 'node:crypto';
import { ExecutionError } from '../../driver/errors.js';

export interface KeyOffer {
  /** Uncompressed point, hex. Not secret. */
  readonly publicKey: string;
  /** The token that the other's public key gives. @throws ExecutionError if not on the curve */
  tokenWith(theirKey: string): string;
}

const LABEL = 'reprise direct 1\n';

/** A fresh pair of keys; the private one stays inside. */
export function offerKey(): KeyOffer {
  const pair = createECDH('prime256v1');
  const own = pair.generateKeys();
  return {
    publicKey: own.toString('hex'),
    tokenWith: (theirKey) => {
      const theirs = Buffer.from(theirKey, 'hex');
      let secret: Buffer;
      try {
        secret = pair.computeSecret(theirs);
      } catch {
        throw new ExecutionError(
          `shim: expected a public key of P-256, got ${theirs.length} bytes that are none`,
          { backend: 'spark' },
        );
      }
      const parts = [Buffer.from(LABEL), secret, own, theirs];
      return parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex');
    },
  };
}

/** What a shim that knows the token answers to a challenge. */
export function proofOf(token: string, challenge: Uint8Array): string {
  return createHmac('sha256', token).update('reprise proof\n').update(challenge).digest('hex');
}
