/** The sessions of a pipeline's run: one for each engine, opened when a step first asks for it. */
import type { ReuseSetting } from '../../driver/index.js';
import type { SparkSection } from '../../spark-bridge/submit/settings.js';
import type { DeviceChoice } from '../devices/device-choice.js';
import { type OpenSession, openSession } from '../engines.js';
import type { EngineName, RunEvent } from '../runs/run-events.js';
import type { StorePlace } from '../store-place.js';

export interface SessionsOptions {
  readonly engine: EngineName;
  readonly store: StorePlace | null;
  readonly reuse?: ReuseSetting;
  readonly devices?: DeviceChoice;
  readonly spark?: SparkSection;
  /** The run that results are from. */
  readonly origin?: string;
  readonly signal: AbortSignal;
  readonly onEvent: (event: RunEvent) => void;
}

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #open = new Map<'local' | 'spark', Promise<OpenSession>>();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** @throws ConfigError when Spark or Java is missing; the next to ask tries again */
  open(engine: 'local' | 'spark'): Promise<OpenSession> {
    const known = this.#open.get(engine);
    if (known !== undefined) return known;
    const { engine: asked, store, reuse, devices, spark, origin, signal, onEvent } = this.#options;
    const warn = (message: string): void => onEvent({ kind: 'warning', message });
    const keep = {
      place: store,
      ...(reuse === undefined ? {} : { reuse }),
      ...(devices === undefined ? {} : { devices }),
      ...(origin === undefined ? {} : { origin }),
      onSetup: (what: string) => onEvent({ kind: 'setup', what }),
    };
    const placement = asked === 'auto' ? 'cost' : 'blocks';
    const opening = openSession(engine, warn, signal, placement, spark, keep);
    this.#open.set(engine, opening);
    opening.catch(() => this.#open.delete(engine));
    return opening;
  }

  async close(): Promise<void> {
    for (const opening of this.#open.values()) {
      const open = await opening.catch(() => undefined);
      await open?.session.close();
    }
  }
}
