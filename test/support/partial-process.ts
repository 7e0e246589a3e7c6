/**
 * A process that evaluates one request of a scenario with a durable store: `node partial-process.js
 * <JSON>`. Says on standard output what ran and the digest of the value, a JSON line.
 */
import { Session } from '../../driver/index.js';
import { contentDigest } from '../../driver/ir/lineage-key.js';
import { DurableStore } from '../../driver/reuse/store/durable-store.js';
import { createCpuBackend } from '../../gpu-executor/cpu/index.js';
import { MOVES, scenarios } from './partial-scenarios.js';

interface Options {
  readonly folder?: string;
  readonly name: string;
  readonly part: 'first' | 'second';
  readonly scale: number;
}

export interface PartialOutcome {
  readonly works: Readonly<Record<string, number>>;
  readonly rules: readonly string[];
  readonly cells: readonly number[];
  readonly digest: string;
  readonly seconds: number;
}

const { folder, name, part, scale } = JSON.parse(process.argv[2] ?? '{}') as Options;
const store = folder === undefined ? undefined : await DurableStore.open(folder);
const session = new Session({ local: await createCpuBackend(), ...(store ? { store } : {}) });
const scenario = scenarios[name]!(session, scale);
const asked = part === 'first' ? scenario.first : [scenario.second];
const start = performance.now();
const values = await Promise.all(asked.map((x) => x.value()));
const seconds = (performance.now() - start) / 1000;
await session.settle();
const works: Record<string, number> = {};
const rules: string[] = [];
for (const { nodes, partial } of session.statistics.plans) {
  for (const { expr } of nodes) {
    if (!MOVES.has(expr.op.name)) works[expr.op.name] = (works[expr.op.name] ?? 0) + 1;
  }
  for (const answer of partial?.answers.values() ?? []) rules.push(answer.rule);
}
const { data } = values[0]!;
const step = Math.max(1, Math.floor(data.length / 997));
const cells = Array.from({ length: Math.ceil(data.length / step) }, (_, i) => data[i * step]!);
const outcome: PartialOutcome = { works, rules, cells, digest: contentDigest(values[0]!), seconds };
process.stdout.write(`${JSON.stringify(outcome)}\n`);
await session.close();
process.exit(0);
