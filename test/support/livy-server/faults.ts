/**
 * The fault list of the Livy test server: each fault strikes the first requests it matches and is
 * then used up, so a test states exactly what goes wrong and when.
 */

export type FaultAction =
  /** Closes the socket before anything is done. */
  | { readonly kind: 'drop-before' }
  /** Does what was asked, then closes the socket without an answer. */
  | { readonly kind: 'drop-after' }
  /** Does what was asked and answers late. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Waits, then does what was asked, and answers. */
  | { readonly kind: 'delay-before'; readonly ms: number }
  /** Answers this instead; nothing is done. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly body: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Does what was asked, and sends half of the answer as if it were the whole. */
  | { readonly kind: 'half-json' }
  /** Does what was asked, promises more bytes than it sends, and closes. */
  | { readonly kind: 'short-body' }
  /** Does what was asked, and promises fewer bytes than it sends. */
  | { readonly kind: 'wrong-length' }
  /** A small gzip body that unpacks to `bytes` zeros. */
  | { readonly kind: 'gzip-bomb'; readonly bytes: number }
  /** Sends one byte each `everyMs`, for ever. */
  | { readonly kind: 'drip'; readonly everyMs: number };

export interface Fault {
  readonly method?: string;
  /** Matched against the path below the base address, without query. */
  readonly path: RegExp;
  /** Matching requests let pass first. Default 0. */
  readonly skip?: number;
  /** Requests it strikes. Default 1; `Infinity` for all. */
  readonly times?: number;
  readonly action: FaultAction;
}

export interface FaultList {
  add(...faults: readonly Fault[]): void;
  clear(): void;
  /** The action for this request, if a fault strikes it. */
  strike(method: string, path: string): FaultAction | undefined;
}

export function createFaultList(): FaultList {
  const live: { fault: Fault; skip: number; times: number }[] = [];
  return {
    add: (...faults) => {
      for (const fault of faults)
        live.push({ fault, skip: fault.skip ?? 0, times: fault.times ?? 1 });
    },
    clear: () => void live.splice(0),
    strike: (method, path) => {
      for (const entry of live) {
        const { fault } = entry;
        if (entry.times <= 0 || !fault.path.test(path)) continue;
        if (fault.method !== undefined && fault.method !== method) continue;
        if (entry.skip-- > 0) continue;
        entry.times--;
        return fault.action;
      }
      return undefined;
    },
  };
}
