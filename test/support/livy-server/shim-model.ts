/**
 * The statements half of the shim as the test server runs it: reads the constant line of Scala
 * exactly as `scala-shim/.../livy/Statements.scala` does, and hands request frames to a handler.
 * Suites that have a real shim forward the frames to it; others answer in JavaScript.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { deflateSync, inflateSync } from 'node:zlib';
import { argumentOf, questionOf } from './read-code.js';
import type { Evaluator } from './sessions.js';

/** Answers one request frame. `boot` names the driver process. */
export type FrameHandler = (
  frame: Uint8Array,
  context: { readonly boot: string },
) => Promise<Uint8Array>;

export interface ShimModelOptions {
  /** Largest answer in statements. @units bytes, default 48 MiB */
  readonly limitBytes?: number;
  /** Changes what a statement prints; for damage. */
  readonly print?: (text: string) => string;
}

const LINGER_MS = 20;

interface Held {
  state: 'running' | 'done';
  result: Uint8Array;
  settled: Promise<void>;
}

interface Memory {
  readonly boot: string;
  readonly held: Map<string, Held>;
  readonly parts: Map<string, Map<number, Buffer>>;
  readonly dropped: Set<string>;
  executed: number;
}

const memoryOf = (driver: Map<string, unknown>): Memory => {
  const known = driver.get('reprise') as Memory | undefined;
  if (known) return known;
  const fresh: Memory = {
    boot: randomBytes(9).toString('base64url'),
    held: new Map(),
    parts: new Map(),
    dropped: new Set(),
    executed: 0,
  };
  driver.set('reprise', fresh);
  return fresh;
};

/** Requests a session's shim has executed: the side effects that must happen once. */
export const executedIn = (driver: Map<string, unknown>): number => memoryOf(driver).executed;

/** Evaluates our line of Scala; anything else is an error, as in a REPL without the jar. */
export function shimEvaluator(handler: FrameHandler, options: ShimModelOptions = {}): Evaluator {
  return async (code, { session }) => {
    const question = questionOf(code);
    if (question !== undefined) return { text: `reprise1 ${question} versions 3.5.6 2.12.18` };
    const argument = argumentOf(code);
    if (argument === undefined) return { error: '<console>:23: error: not found: value reprise' };
    const memory = memoryOf(session.driver);
    const text = await run(memory, Buffer.from(argument, 'base64url'), handler, options);
    return { text: options.print ? options.print(text) : text };
  };
}

async function run(
  memory: Memory,
  bytes: Buffer,
  handler: FrameHandler,
  options: ShimModelOptions,
): Promise<string> {
  const read = reader(bytes);
  const nonce = read.id();
  if (read.u8() !== 1) throw new Error('protocol');
  const waitMs = read.u32();
  const overBytes = read.u32();
  const folder = read.short();
  const awaited: string[] = [];
  const damage = new Map<string, string>();
  while (!read.atEnd()) {
    const kind = read.u8();
    const id = read.id();
    if (kind === 6) awaited.push(id);
    else if (kind === 5) forget(memory, id);
    else if (kind === 2) {
      const index = read.u32();
      const parts = memory.parts.get(id) ?? new Map<number, Buffer>();
      memory.parts.set(id, parts.set(index, read.long()));
    } else {
      const why = start(memory, kind, id, read, handler);
      if (why !== undefined) damage.set(id, why);
    }
  }
  const running = awaited.flatMap((id) => memory.held.get(id) ?? []);
  if (running.length > 0 && waitMs > 0 && running.every((it) => it.state === 'running')) {
    await Promise.race([
      ...running.map((it) => it.settled),
      new Promise((resolve) => setTimeout(resolve, waitMs)),
    ]);
    // What ends together is reported together.
    if (running.some((it) => it.state === 'running'))
      await new Promise((resolve) => setTimeout(resolve, LINGER_MS));
  }
  const lines = [`begin ${memory.boot}`];
  for (const id of awaited) {
    lines.push(
      ...report(memory, id, damage.get(id), overBytes, folder, options.limitBytes ?? 48 << 20),
    );
  }
  lines.push(`end ${lines.length + 1}`);
  return lines.map((it) => `reprise1 ${nonce} ${it}\n`).join('');
}

function forget(memory: Memory, id: string): void {
  memory.held.delete(id);
  memory.parts.delete(id);
  memory.dropped.add(id);
}

function start(
  memory: Memory,
  kind: number,
  id: string,
  read: ReturnType<typeof reader>,
  handler: FrameHandler,
): string | undefined {
  const encoding = read.u8();
  const rawLength = read.u32();
  const digest = read.take(32).toString('hex');
  let packed: Buffer;
  if (kind === 1) packed = read.long();
  else if (kind === 4) packed = readFileSync(fileURLToPath(read.short()));
  else {
    const count = read.u32();
    const parts = memory.parts.get(id);
    const list = Array.from({ length: count }, (_, i) => parts?.get(i));
    if (list.some((it) => it === undefined))
      return memory.held.has(id) ? undefined : 'parts are missing';
    packed = Buffer.concat(list as Buffer[]);
  }
  // Started before, or answered and forgotten: once is enough.
  if (memory.held.has(id) || memory.dropped.has(id)) return undefined;
  const raw = encoding === 1 ? inflateSync(packed) : packed;
  if (raw.length !== rawLength || createHash('sha256').update(raw).digest('hex') !== digest) {
    return 'length or digest differ';
  }
  memory.parts.delete(id);
  memory.executed++;
  const held: Held = { state: 'running', result: new Uint8Array(), settled: Promise.resolve() };
  held.settled = handler(raw, { boot: memory.boot }).then((result) => {
    held.state = 'done';
    held.result = result;
  });
  memory.held.set(id, held);
  return undefined;
}

function report(
  memory: Memory,
  id: string,
  damage: string | undefined,
  overBytes: number,
  folder: string,
  limitBytes: number,
): string[] {
  if (damage !== undefined) return [`damaged ${id} ${Buffer.from(damage).toString('base64url')}`];
  const held = memory.held.get(id);
  if (!held) return [`unknown ${id}`];
  if (held.state === 'running') return [`pending ${id}`];
  const { result } = held;
  const digest = createHash('sha256').update(result).digest('hex');
  if (folder !== '' && result.length > overBytes) {
    writeFileSync(fileURLToPath(`${folder}/${id}`), result);
    return [`stored ${id} ${result.length} ${digest}`];
  }
  const small = deflateSync(result, { level: 1 });
  const packed = small.length < result.length * 0.9 ? small : Buffer.from(result);
  if (packed.length > limitBytes) return [`toolarge ${id} ${packed.length} ${limitBytes}`];
  const data: string[] = [];
  for (let at = 0; at < packed.length; at += 48 * 1024) {
    data.push(packed.subarray(at, at + 48 * 1024).toString('base64url'));
  }
  const encoding = packed === small ? 1 : 0;
  return [
    `done ${id} ${encoding} ${result.length} ${data.length} ${digest}`,
    ...data.map((it, i) => `data ${id} ${i} ${it}`),
  ];
}

function reader(bytes: Buffer) {
  let at = 0;
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new Error('the argument ends early');
    at += length;
    return bytes.subarray(at - length, at);
  };
  const u32 = (): number => take(4).readUInt32BE();
  return {
    take,
    u32,
    u8: (): number => take(1).readUInt8(),
    id: (): string => take(18).toString('base64url'),
    long: (): Buffer => take(u32()),
    short: (): string => take(take(2).readUInt16BE()).toString('utf8'),
    atEnd: (): boolean => at >= bytes.length,
  };
}
