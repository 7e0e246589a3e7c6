/**
 * Health and Prometheus metrics of a scheduler, on loopback only. Invariant: what became of times is
 * read from the state on the disk, so a scheduler that starts again goes on counting; the rest is of
 * this process.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Gauge } from 'prom-client';
import { ConfigError } from '../../driver/errors.js';
import { loadPackage } from '../../driver/support/load-package.js';
import type { Scheduler } from './scheduler.js';
import type { SchedulerEvent } from './scheduler-event.js';

const HOST = '127.0.0.1';
/** A scheduler that did not look at its schedules for so long is ill. @units ms */
const ILL_MS = 120_000;
/** Between a minute and half a day. @units seconds */
const BUCKETS = [1, 10, 60, 300, 900, 1800, 3600, 7200, 14_400, 43_200];

export interface Metrics {
  readonly onEvent: (event: SchedulerEvent) => void;
  /** Serves until closed. @throws ConfigError when the port is taken */
  listen(scheduler: Scheduler, port: number): Promise<{ readonly url: string; close(): void }>;
}

export function createMetrics(): Metrics {
  const client = loadPackage('prom-client') as typeof import('prom-client');
  const registry = new client.Registry();
  client.collectDefaultMetrics({ register: registry, prefix: 'reprise_' });
  const seconds = new client.Histogram({
    name: 'reprise_schedule_run_seconds',
    help: 'From the claim of a logical time to its end.',
    labelNames: ['schedule', 'state'],
    buckets: BUCKETS,
    registers: [registry],
  });
  const events = new client.Counter({
    name: 'reprise_schedule_events_total',
    help: 'What this scheduler did, by kind: started, resumed, adopted, retry, warning, ..',
    labelNames: ['schedule', 'kind'],
    registers: [registry],
  });
  const gauge = (name: string, help: string, ...labels: string[]): Gauge =>
    new client.Gauge({
      name: `reprise_schedule_${name}`,
      help,
      labelNames: ['schedule', ...labels],
      registers: [registry],
    });
  const gauges = {
    times: gauge('times', 'Logical times by what became of them, over all schedulers.', 'state'),
    active: gauge('active', 'Logical times that are claimed and not at their end.', 'phase'),
    failing: gauge('failing', '1 when the latest run failed.'),
    next: gauge('next_timestamp_seconds', 'The next logical time.'),
    last: gauge('last_timestamp_seconds', 'The latest logical time that was decided about.'),
    success: gauge('success_timestamp_seconds', 'When a run last ended well.'),
    best: gauge('best_score', 'Best score of the latest run that ended well.', 'metric'),
  };
  return {
    onEvent: ({ kind, schedule, seconds: took }) => {
      events.inc({ schedule, kind });
      if (took !== undefined) seconds.observe({ schedule, state: kind }, took);
    },
    listen: (scheduler, port) =>
      listen(port, async (request, response) => {
        if (request.url === '/health') return answerHealth(scheduler, response);
        if (request.url !== '/metrics') return end(response, 404, 'text/plain', 'not found\n');
        await collect(scheduler, gauges);
        end(response, 200, registry.contentType, await registry.metrics());
      }),
  };
}

type Gauges = Readonly<Record<'times' | 'active' | 'failing' | 'next' | 'last' | 'success' | 'best', Gauge>>; // biome-ignore format: a type

async function collect({ works }: Scheduler, gauges: Gauges): Promise<void> {
  gauges.active.reset();
  gauges.best.reset();
  for (const { scheduled, folder, next } of works) {
    const schedule = scheduled.name;
    const { counts, active, isFailing, last, recent, best } = await folder.state.read();
    for (const [state, count] of Object.entries(counts))
      gauges.times.set({ schedule, state }, count);
    for (const { phase } of active) gauges.active.inc({ schedule, phase });
    gauges.failing.set({ schedule }, isFailing ? 1 : 0);
    const success = recent.findLast(({ state }) => state === 'done')?.endedAt;
    if (next !== undefined) gauges.next.set({ schedule }, next / 1000);
    if (last !== null) gauges.last.set({ schedule }, last / 1000);
    if (success !== undefined) gauges.success.set({ schedule }, success / 1000);
    if (best !== null) gauges.best.set({ schedule, metric: best.metric }, best.score);
  }
}

async function answerHealth(
  { works, quietMs }: Scheduler,
  response: ServerResponse,
): Promise<void> {
  const isWell = quietMs < ILL_MS;
  const schedules = await Promise.all(
    works.map(async ({ scheduled, folder, next }) => {
      const { active, isFailing } = await folder.state.read();
      const at = next === undefined ? null : new Date(next).toISOString();
      return { schedule: scheduled.name, next: at, active: active.length, isFailing };
    }),
  );
  const text = `${JSON.stringify({ isWell, quietSeconds: quietMs / 1000, schedules })}\n`;
  end(response, isWell ? 200 : 503, 'application/json', text);
}

type Answer = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

function listen(port: number, answer: Answer): Promise<{ url: string; close(): void }> {
  const server: Server = createServer((request, response) => {
    // A page in somebody's browser may call this address by a name of its own.
    const host = (request.headers.host ?? '').replace(/:\d+$/, '');
    if (!['127.0.0.1', 'localhost', '[::1]'].includes(host)) {
      return end(response, 403, 'text/plain', 'only for this machine\n');
    }
    if (request.method !== 'GET') return end(response, 405, 'text/plain', 'only GET\n');
    Promise.resolve(answer(request, response)).catch((error: Error) =>
      end(response, 500, 'text/plain', `${error.message}\n`),
    );
  });
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const message = `--metrics: expected a free port on ${HOST}, got ${cause.code} for ${port}; choose another, or 0`;
      reject(new ConfigError(message, { key: '--metrics', value: port }, { cause }));
    });
    server.listen(port, HOST, () => {
      const { port: own } = server.address() as AddressInfo;
      const close = (): void => {
        server.close();
        server.closeAllConnections();
      };
      resolve({ url: `http://${HOST}:${own}`, close });
    });
  });
}

function end(response: ServerResponse, status: number, type: string, text: string): void {
  if (response.headersSent) return void response.end();
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(text);
}
