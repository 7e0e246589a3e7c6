/** Runs one step of a pipeline on real files and engines, without the pipeline. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { listDataFiles } from '../../driver/frame/files.js';
import { identifyFiles, isRemote } from '../../driver/frame/identity.js';
import { ConfigError } from '../../driver/index.js';
import { type OpenSession, openSession } from '../../jobs/engines.js';
import type { KeyPath } from '../../jobs/job-file/yaml-source.js';
import type { RunEvent } from '../../jobs/runs/run-events.js';
import type {
  ResolvedInput,
  StepContext,
  StepInput,
  StepKind,
  StepPlace,
  StepReport,
  StepResult,
  StepWork,
} from '../../jobs/steps/step-kind.js';

export interface StepRun {
  readonly result: StepResult;
  readonly report: StepReport | undefined;
  readonly events: readonly RunEvent[];
  /** Where each output is now. */
  readonly outputs: Readonly<Record<string, string>>;
}

export class StepBench {
  readonly folder: string;
  /** What the last step said, also one that failed. */
  report: StepReport | undefined;
  readonly #sessions = new Map<string, Promise<OpenSession>>();
  readonly #given = new Map<string, OpenSession>();
  /** Outputs of other steps, by name. */
  readonly steps = new Map<string, string>();

  constructor(folder: string) {
    this.folder = folder;
  }

  bind(kind: StepKind, document: object): Promise<StepWork> {
    const parsed = kind.schema.safeParse(document);
    if (!parsed.success) throw new ConfigError(`step: ${parsed.error.message}`);
    const where = (at: KeyPath): string => `p.yaml:1:1: steps.it.${at.join('.')}`;
    const place: StepPlace = {
      step: 'it',
      folder: this.folder,
      cwd: this.folder,
      variables: {},
      path: (_, given) => (isRemote(given) ? given : resolve(this.folder, given)),
      keep: () => undefined,
      where,
      failAll: (problems) => {
        throw new ConfigError(
          problems.map((one) => `${where(one.path)}: ${one.message}`).join('\n'),
        );
      },
      fail: (at, message) => {
        throw new ConfigError(`${where(at)}: ${message}`);
      },
    };
    return kind.bind(parsed.data, place);
  }

  async run(kind: StepKind, document: object, signal?: AbortSignal): Promise<StepRun> {
    const work = await this.bind(kind, document);
    const inputs = new Map<string, ResolvedInput>();
    for (const input of work.inputs) inputs.set(input.name, await this.#resolved(input));
    const events: RunEvent[] = [];
    const staged = (name: string): string => join(this.folder, '.staging', name);
    await rm(join(this.folder, '.staging'), { recursive: true, force: true });
    await mkdir(join(this.folder, '.staging'), { recursive: true });
    const places = new Map(
      work.outputs.map((output) => {
        const final = resolve(this.folder, output.path ?? join('.kept', output.file));
        return [output.name, { output, final }] as const;
      }),
    );
    this.report = undefined;
    const at = (name: string): string => {
      const { output, final } = places.get(name)!;
      if (isRemote(output.path ?? '')) return output.path!;
      if (output.isDirect) return final;
      return staged(name);
    };
    const context: StepContext = {
      engine: 'local',
      signal: signal ?? new AbortController().signal,
      input: (name) => inputs.get(name)!,
      open: (engine) => this.open(engine),
      step: 'it',
      run: 'run-1',
      folder: this.folder,
      runFolder: join(this.folder, 'runs', 'run-1', 'it'),
      attempt: 1,
      isResumed: false,
      onEvent: (event) => void events.push(event),
      output: at,
      fill: (text) => text,
      report: (found) => {
        this.report = found;
      },
    };
    const result = await work.run(context);
    const outputs: Record<string, string> = {};
    for (const [name, { output, final }] of places) {
      if (!output.isDirect && !isRemote(output.path ?? '')) {
        await mkdir(dirname(final), { recursive: true });
        await rm(final, { recursive: true, force: true });
        await rename(staged(name), final);
      }
      outputs[name] = isRemote(output.path ?? '') ? output.path! : final;
    }
    return { result, report: this.report, events, outputs };
  }

  /** Takes an open session for an engine; who gives it closes it. */
  use(engine: 'local' | 'spark', open: OpenSession): void {
    this.#given.set(engine, open);
  }

  open(engine: 'local' | 'spark'): Promise<OpenSession> {
    const given = this.#given.get(engine);
    if (given !== undefined) return Promise.resolve(given);
    let session = this.#sessions.get(engine);
    if (session === undefined) {
      session = openSession(engine, undefined, undefined, 'blocks', undefined, { place: null });
      this.#sessions.set(engine, session);
    }
    return session;
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) await (await session).session.close();
  }

  async #resolved({ name, from, read = {}, isAnyFile }: StepInput): Promise<ResolvedInput> {
    const given = 'step' in from ? this.steps.get(from.step)! : from.path;
    if (given.startsWith('table://')) {
      const { frames } = await this.open('spark');
      const { source } = await frames.describe(given, read);
      return { name, path: given, read, files: source.files };
    }
    const path = resolve(this.folder, given);
    const paths = isAnyFile ? [path] : (await listDataFiles(path, read.format)).paths;
    return { name, path, read, files: await identifyFiles(paths) };
  }
}
