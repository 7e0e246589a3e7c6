/** One server, client and session for a test, all ended after it. */
import {
  createLivyChannel,
  type LivyChannel,
  type LivyChannelOptions,
} from '../../../spark-bridge/livy/livy-channel.js';
import { createLivyClient, type LivyClient } from '../../../spark-bridge/livy/livy-client.js';
import type { LivySession } from '../../../spark-bridge/livy/livy-session.js';
import {
  type OpenSessionOptions,
  openLivySession,
} from '../../../spark-bridge/livy/session-lifecycle.js';
import { memorySessionStore, type SessionStore } from '../../../spark-bridge/livy/session-store.js';
import type { LivyConnection } from '../../../spark-bridge/livy/types.js';
import { type EchoShim, echoShim } from './frame-handlers.js';
import {
  type LivyTestServer,
  type LivyTestServerOptions,
  startLivyTestServer,
} from './livy-server.js';
import { executedIn, type ShimModelOptions, shimEvaluator } from './shim-model.js';

/** Short waits, so that suites of faults take seconds. */
export const FAST = {
  retry: { retries: 4, baseMs: 5, capMs: 40 },
  timeoutMs: 400,
  slowTimeoutMs: 600,
} as const;

export interface Fixture {
  readonly server: LivyTestServer;
  readonly shim: EchoShim;
  readonly client: LivyClient;
  readonly store: SessionStore;
  readonly warnings: readonly string[];
  open(options?: Partial<OpenSessionOptions>): Promise<LivySession>;
  channel(session: LivySession, options?: LivyChannelOptions): LivyChannel;
  /** Requests the shim of a session executed. */
  executed(id: number): number;
  end(): Promise<void>;
}

export async function livyFixture(
  options: {
    readonly server?: Partial<LivyTestServerOptions>;
    readonly connection?: Partial<LivyConnection>;
    readonly shim?: ShimModelOptions & { readonly delayMs?: number };
  } = {},
): Promise<Fixture> {
  const shim = echoShim(
    options.shim?.delayMs === undefined ? {} : { delayMs: options.shim.delayMs },
  );
  const server = await startLivyTestServer({
    evaluator: shimEvaluator(shim.handler, options.shim),
    ...options.server,
  });
  const warnings: string[] = [];
  const client = createLivyClient({
    url: server.url,
    ...FAST,
    onWarning: (it) => warnings.push(it),
    ...options.connection,
  });
  const store = memorySessionStore();
  const sessions: LivySession[] = [];
  return {
    server,
    shim,
    client,
    store,
    warnings,
    open: async (more = {}) => {
      const session = await openLivySession(client, {
        key: 'test',
        store,
        spec: {},
        startTimeoutMs: 2000,
        adoptGraceMs: 200,
        closeTimeoutMs: 2000,
        ...more,
      });
      sessions.push(session);
      return session;
    },
    channel: (session, more = {}) =>
      createLivyChannel(session, {
        pollMs: 5,
        pollCapMs: 20,
        lookupGraceMs: 100,
        waitMs: { min: 30, max: 200 },
        cancelGraceMs: 300,
        ...more,
      }),
    executed: (id) => executedIn(server.sessions.get(id)?.driver ?? new Map()),
    end: async () => {
      for (const session of sessions) session.detach();
      client.close();
      await server.close();
    },
  };
}
