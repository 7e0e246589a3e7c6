/** Shims in a few lines, for suites that test how requests travel, not what they compute. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeFrame, encodeFrame } from '../../../spark-bridge/channel/frame-codec.js';
import type {
  ReplyHeader,
  RequestHeader,
  WireError,
  WireJson,
} from '../../../spark-bridge/channel/wire.js';
import type { FrameHandler } from './shim-model.js';

export interface Served {
  readonly verb: string;
  readonly args: Readonly<Record<string, WireJson>>;
}

export interface EchoShim {
  readonly handler: FrameHandler;
  /** Requests executed, in order. */
  readonly served: readonly Served[];
  /** Runs that go on until cancelled, by id. */
  readonly running: ReadonlySet<string>;
}

const frame = (
  id: string,
  result: WireJson,
  payloads: readonly Uint8Array[],
  error: WireError | null,
): Uint8Array => {
  const header: ReplyHeader = { id, result, error, payloads: payloads.map((it) => it.length) };
  return Buffer.concat(encodeFrame(header, payloads));
};

/**
 * `runProgram` gives its payloads back after `delayMs`; a run whose id begins with `forever` ends
 * only when cancelled, one that begins with `stubborn` never. `collect` fails with a data error, or
 * answers N random bytes for `bytes:N`.
 */
export function echoShim(options: { readonly delayMs?: number } = {}): EchoShim {
  const served: Served[] = [];
  const running = new Map<string, () => void>();
  const handler: FrameHandler = async (bytes, { boot }) => {
    const { header, payloads } = decodeFrame<RequestHeader>(bytes);
    const { id, verb } = header;
    const args = header.args as Readonly<Record<string, WireJson>>;
    served.push({ verb, args });
    switch (verb) {
      case 'ping':
        return frame(id, { boot }, [], null);
      case 'status':
        return frame(
          id,
          { runs: [...running.keys()].map((run) => ({ run, progress: 0.5 })) },
          [],
          null,
        );
      case 'cancel': {
        const end = running.get(String(args.run));
        if (end && !String(args.run).startsWith('stubborn')) end();
        return frame(id, { cancelled: end !== undefined }, [], null);
      }
      case 'collect': {
        const size = /^bytes:(\d+)$/.exec(String(args.handle));
        if (size) return frame(id, { rows: 1, cols: 1 }, [randomBytes(Number(size[1]))], null);
        const error: WireError = {
          kind: 'data',
          message: 'no such handle',
          facts: { handle: String(args.handle) },
          trace: 'at Shim',
        };
        return frame(id, null, [], error);
      }
      default: {
        const run = String(args.run ?? '');
        if (/^(forever|stubborn)/.test(run)) {
          await new Promise<void>((resolve) => running.set(run, resolve));
          running.delete(run);
          return frame(id, null, [], {
            kind: 'cancelled',
            message: 'cancelled',
            facts: {},
            trace: null,
          });
        }
        if (options.delayMs) await sleep(options.delayMs);
        return frame(id, { boot, verb }, payloads, null);
      }
    }
  };
  return {
    handler,
    served,
    get running() {
      return new Set(running.keys());
    },
  };
}

/** Arguments of a program that the echo shim takes. */
export const echoProgram = (run: string) => ({
  run,
  inputs: [],
  instructions: [],
  outputs: [],
  persist: [],
});
