/**
 * TLS to a server whose certificate is known beforehand: a shim makes one for itself when it starts
 * to listen, and says it by way of Livy. Invariant: a connection is used only when the other side
 * holds the key of that very certificate; names, dates and authorities mean nothing.
 */
import { Agent, type AgentOptions } from 'node:https';

/** An agent that trusts `certificate` (DER in base64) and no other. */
export function pinnedAgent(certificate: string, options: AgentOptions = {}): Agent {
  const wanted = Buffer.from(certificate, 'base64');
  const lines = wanted.toString('base64').match(/.{1,64}/g) ?? [];
  return new Agent({
    ...options,
    ca: ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n'),
    minVersion: 'TLSv1.2',
    // Only after the certificate was found sound: who else it vouches for is not our server.
    checkServerIdentity: (_host, { raw }) =>
      raw.equals(wanted) ? undefined : new Error('tls: expected the certificate of the shim'),
  });
}
