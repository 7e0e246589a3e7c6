/**
 * The direct channel to a shim behind Livy: opened by a statement, or announced by a batch.
 * Invariant: when the shim can't be reached, whether it has ended is found out before the call
 * fails, and an application that Livy calls alive but nobody reaches is given up, so that it is
 * ended and another one is started.
 */
import { ConfigError } from '../../driver/errors.js';
import type { Channel } from '../channel/channel.js';
import { DirectChannel } from '../channel/direct-channel.js';
import { type AllowedHosts, isLoopback } from './allowed-hosts.js';
import { offerKey } from './key-agreement.js';
import { proves, type ReachedShim, reachShim } from './reach-shim.js';
import { pause } from './retry.js';

export type ChannelMode = 'auto' | 'direct' | 'statements';

export interface DirectOptions {
  readonly allow: AllowedHosts;
  /** How long to wait for a living application's unreachable shim. @units ms, default 20000 */
  readonly lostAfterMs?: number;
}

/** A session or batch, as far as a channel needs to know it. */
export interface Application {
  /** Fires, with the error as its reason, when it is known to be over. */
  readonly lost: AbortSignal;
  /** Asks Livy; `lost` fires when it is over. @throws what Livy answers */
  check(): Promise<unknown>;
  /** Declares it over: `lost` fires with the log's tail. */
  over(why: string): Promise<Error>;
}

/**
 * The direct channel into a session: its shim is asked over `statements` to listen, on loopback
 * first, then, if the user allows any machine, on every address.
 * @returns undefined in `auto` when there is no way, or none that is allowed
 * @throws ConfigError in `direct`, with what became of each address
 */
export async function openDirectChannel(
  session: Application & { readonly client: { readonly url: string } },
  statements: Channel,
  mode: 'auto' | 'direct',
  options: DirectOptions,
): Promise<DirectChannel | undefined> {
  const isLocal = isLoopback(new URL(session.client.url).hostname);
  const binds = [
    // A server elsewhere has its drivers elsewhere, and what listens here is not ours.
    ...(isLocal ? (['loopback'] as const) : []),
    ...(options.allow.isEmpty ? [] : (['any'] as const)),
  ];
  const tried: string[] = [];
  for (const bind of binds) {
    const offer = offerKey();
    const { result } = await statements.call('openDirect', { key: offer.publicKey, bind });
    const reach = await reachShim(result, offer, {
      allow: options.allow,
    });
    if (reach.ok) return directChannel(session, reach.shim, options);
    tried.push(...reach.tried);
  }
  if (binds.length > 0) await statements.call('closeDirect', {});
  if (mode === 'auto') return undefined;
  throw unreachable('REPRISE_LIVY_CHANNEL=direct', tried);
}

/** @param wanted what asked for the direct channel, as users know it */
export function unreachable(wanted: string, tried: readonly string[]): ConfigError {
  const got =
    tried.length > 0
      ? tried.join('; ')
      : 'a Livy server on another machine, and no machine is allowed';
  return new ConfigError(
    `${wanted}: expected to reach the shim in the Spark driver, got ${got}; list the machines of the drivers in REPRISE_LIVY_ALLOW, or use REPRISE_LIVY_CHANNEL=statements`,
    { key: 'REPRISE_LIVY_ALLOW', tried },
  );
}

/** A channel that finds out what became of the application when the shim can't be reached. */
export function directChannel(
  application: Application,
  shim: ReachedShim,
  options: { readonly lostAfterMs?: number } = {},
): DirectChannel {
  const limitMs = options.lostAfterMs ?? 20_000;
  let asking: Promise<void> | undefined;
  return new DirectChannel({
    ...shim,
    onUnreachable: () => {
      asking ??= confirmLoss(application, shim, limitMs).finally(() => {
        asking = undefined;
      });
      return asking;
    },
  });
}

async function confirmLoss(
  application: Application,
  shim: ReachedShim,
  limitMs: number,
): Promise<void> {
  const until = Date.now() + limitMs;
  for (let waitMs = 100; !application.lost.aborted; waitMs = Math.min(waitMs * 2, 2000)) {
    // Alive: only the connection broke.
    if ((await proves(shim, 3000)) === true) return;
    await application.check().catch(() => undefined);
    if (application.lost.aborted) return;
    if (Date.now() + waitMs > until) {
      await application.over(`a shim that can not be reached at ${shim.host}:${shim.port}`);
      return;
    }
    await pause(waitMs, application.lost);
  }
}
