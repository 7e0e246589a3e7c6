/** The shim's half of the key agreement, by its description, as in `KeyAgreement.scala`. */
import { createECDH, createHash } from 'node:crypto';

export function answerKey(driverKey: string): {
  readonly publicKey: string;
  readonly token: string;
} {
  const pair = createECDH('prime256v1');
  const publicKey = pair.generateKeys('hex');
  const token = createHash('sha256')
    .update('reprise direct 1\n')
    .update(pair.computeSecret(driverKey, 'hex'))
    .update(driverKey, 'hex')
    .update(publicKey, 'hex')
    .digest('hex');
  return { publicKey, token };
}
