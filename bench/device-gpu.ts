/**
 * All there is to run on a GPU in one go, for a machine that is lent for minutes: the suites of
 * devices and the conformance suite on that device, then the benches of devices. What is done is
 * written at once, so that a lease that ends leaves it; a part that fails is said at the end.
 * `docs/devices.md` has the commands. With `--quick --devices opencl:0` it runs anywhere.
 */
import { spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { ExecutionError } from '../driver/errors.js';
import { type BenchDevice, benchDevice } from './bench-device.js';
import { deviceChains } from './device-chains.js';
import { deviceMemory } from './device-memory.js';
import { deviceNetwork } from './device-network.js';
import { deviceProducts } from './device-products.js';
import { deviceSearch } from './device-search.js';
import { deviceStream } from './device-stream.js';
import { type Bench, Recorder } from './harness.js';
import { repoRoot } from './paths.js';

/** Of each of the two runs of suites. @units milliseconds */
const SUITES_LIMIT_MS = 150_000;
/** Suites that a device runs; others compile for one, or emulate one. */
const SUITES = [
  ...(['hardware', 'kernels', 'backend', 'networks', 'peers', 'streams', 'memory'] as const),
  ...(['jobs', 'opencl'] as const),
] as const;
const QUICK_SUITES = ['kernels', 'memory'] as const;

export const deviceGpu: Bench = {
  name: 'device-gpu',
  summary: 'for a lent GPU: its suites, products against cuBLAS, memory, search and chains',
  run: async (recorder, options) => {
    const device = benchDevice(recorder, options);
    if (device === undefined) return;
    const problems: string[] = [];
    const part = async (name: string, work: () => Promise<void>): Promise<void> => {
      const start = performance.now();
      try {
        await work();
      } catch (error) {
        problems.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
        recorder.note(problems.at(-1)!);
      }
      recorder.figure(`${name}_part_seconds`, (performance.now() - start) / 1000);
      recorder.write(options);
    };
    const suites = options.quick ? QUICK_SUITES : SUITES;
    const files = suites.map((suite) => `dist/test/device/${suite}.test.js`);
    await part('suites', () => suitesPass(recorder, 'suites', device, files));
    if (!options.quick) {
      const grep = ['--grep', `backend ${device.properties.driver}`];
      const all = ['dist/test/conformance/**/*.test.js', ...grep];
      await part('conformance', () => suitesPass(recorder, 'conformance', device, all));
    }
    const benches = [deviceProducts, deviceNetwork, deviceSearch, deviceMemory];
    for (const bench of [...benches, deviceChains, deviceStream]) {
      await part(bench.name, async () => {
        const own = new Recorder(bench.name);
        try {
          await bench.run(own, options);
        } finally {
          own.write(options);
        }
      });
    }
    if (problems.length > 0) {
      throw new ExecutionError(
        `device-gpu: expected all parts to pass on ${device.name}, got\n${problems.join('\n')}`,
        { op: 'device-gpu', backend: device.name },
      );
    }
  },
};

interface MochaTest {
  readonly fullTitle: string;
  readonly err?: string;
}

/** @throws ExecutionError when a test failed, or the limit came */
async function suitesPass(
  recorder: Recorder,
  name: string,
  { properties }: BenchDevice,
  args: readonly string[],
): Promise<void> {
  const mocha = ['node_modules/mocha/bin/mocha.js', '--exit', '--reporter', 'json-stream', ...args];
  const child = spawn(process.execPath, mocha, {
    cwd: repoRoot(),
    env: { ...process.env, REPRISE_TEST_DEVICES: properties.driver },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: SUITES_LIMIT_MS,
  });
  let passed = 0;
  let isEnded = false;
  const failed: MochaTest[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const event = eventIn(line);
    if (event?.[0] === 'pass') passed++;
    else if (event?.[0] === 'fail') failed.push(event[1] as MochaTest);
    else if (event?.[0] === 'end') isEnded = true;
  }
  recorder.figure(`${name}_passed`, passed, { atLeast: 1 });
  recorder.figure(`${name}_failed`, failed.length, { atMost: 0 });
  for (const { fullTitle, err } of failed) recorder.note(`${fullTitle}: ${err}`);
  if (isEnded && failed.length === 0 && passed > 0) return;
  const seconds = SUITES_LIMIT_MS / 1000;
  const end = isEnded ? '' : `, and no end in ${seconds} s`;
  throw new ExecutionError(
    `${name}: expected every test to pass, got ${passed} that did and ${failed.length} that failed${end}`,
  );
}

/** Other lines are what tests print. */
function eventIn(line: string): readonly [name: string, test: unknown] | undefined {
  if (!/^\["(start|pass|fail|end)",/.test(line)) return undefined;
  return JSON.parse(line) as readonly [string, unknown];
}
