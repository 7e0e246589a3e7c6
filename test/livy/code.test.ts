/** The line of Scala: constant but for one argument; and replies that are whole or refused. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  argumentRoom,
  type Item,
  itemBytes,
  MAX_ARGUMENT,
  newId,
  pack,
  parseReply,
  ReplyDamage,
  statementText,
} from '../../spark-bridge/livy/statement-code.js';
import { hostileText } from '../support/hostile-text.js';
import { argumentOf } from '../support/livy-server/read-code.js';
import { endSession, newSession } from '../support/livy-server/sessions.js';
import { shimEvaluator } from '../support/livy-server/shim-model.js';

const SHAPE = /^_root_\.reprise\.livy\.Statements\.run\("[A-Za-z0-9_-]+"\)$/;
async function printed(
  code: string,
  print: (text: string) => string = (it) => it,
): Promise<string> {
  const settings = {
    startMs: 0,
    retained: 100,
    cancelTimeoutMs: 100,
    onStatementRun: () => undefined,
    evaluator: shimEvaluator(async (frame) => frame, { print }),
  };
  const session = newSession(0, null, {}, settings);
  const context = { session, statementId: 0, cancelled: new AbortController().signal };
  const result = await settings.evaluator(code, context);
  endSession(session, 'dead');
  return 'text' in result ? result.text : assert.fail(result.error);
}

describe('the statement', () => {
  it('has one shape for every payload, name and path', async () => {
    await fc.assert(
      fc.asyncProperty(hostileText, hostileText, async (payload, folder) => {
        const id = newId();
        const items: Item[] = [
          { kind: 'start', id, packed: pack(Buffer.from(payload)) },
          { kind: 'open', id: newId(), packed: pack(Buffer.from('x')), uri: folder },
        ];
        const { code } = statementText({ items, waitMs: 0, store: { overBytes: 10, folder } });
        assert.match(code, SHAPE);
        assert.ok(Buffer.byteLength(code) < 65_535);
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  it('brings every payload there and back unchanged', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), async (payload) => {
        const id = newId();
        const items: Item[] = [
          { kind: 'start', id, packed: pack(payload) },
          { kind: 'await', id },
        ];
        const { code, nonce } = statementText({ items, waitMs: 1000, store: null });
        const report = parseReply(await printed(code), nonce).reports.get(id);
        assert.deepEqual(report, { kind: 'done', bytes: Buffer.from(payload) });
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  it('fits a string literal of the JVM when its room is used up', () => {
    const folder = `file:/${'f'.repeat(500)}`;
    const room = argumentRoom(folder);
    const id = newId();
    const bytes = new Uint8Array(
      room - itemBytes({ kind: 'part', id, index: 0, bytes: new Uint8Array() }),
    );
    const { code } = statementText({
      items: [{ kind: 'part', id, index: 0, bytes }],
      waitMs: 0,
      store: { overBytes: 1, folder },
    });
    const argument = argumentOf(code) ?? '';
    assert.ok(argument.length > MAX_ARGUMENT - 4 && argument.length <= MAX_ARGUMENT);
  });

  it('is not recognised when anything else stands beside it', () => {
    const { code } = statementText({ items: [], waitMs: 0, store: null });
    assert.ok(argumentOf(code));
    for (const other of [
      `${code}; sys.exit`,
      `val x = ${code}`,
      code.replace('")', '" + "")'),
      `${code}\n%json x`,
    ]) {
      assert.equal(argumentOf(other), undefined);
    }
  });
});

describe('the reply', () => {
  const id = newId();
  const items: Item[] = [
    { kind: 'start', id, packed: pack(Buffer.from('z'.repeat(3000))) },
    { kind: 'await', id },
  ];
  const { code, nonce } = statementText({ items, waitMs: 1000, store: null });
  let text: string;
  before(async () => {
    text = await printed(code);
  });

  it('is read between other output of the session', () => {
    const noisy = `INFO starting\n${text.replaceAll('\n', '\nWARN something\n')}res0: Int = 1`;
    assert.equal(parseReply(noisy, nonce).reports.get(id)?.kind, 'done');
    const joined = `no newline before us${text}`;
    assert.equal(parseReply(joined, nonce).reports.get(id)?.kind, 'done');
  });

  it('is refused when a character is changed, lost, or a line is missing', () => {
    const lines = text.split('\n');
    for (let i = 0; i < lines.length - 1; i++) {
      const without = lines.toSpliced(i, 1).join('\n');
      assert.throws(() => parseReply(without, nonce), ReplyDamage, `without line ${i}`);
    }
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom('', 'A', 'B'), (at, put) => {
        if (text[at] === put || text[at] === '\n') return;
        const damaged = text.slice(0, at) + put + text.slice(at + 1);
        let read: ReturnType<typeof parseReply>;
        try {
          read = parseReply(damaged, nonce);
        } catch (error) {
          assert.ok(error instanceof ReplyDamage, String(error));
          return;
        }
        // What does not matter to the bytes (the boot token, a line's number) may differ; the bytes
        // may not.
        const report = read.reports.get(id);
        if (report?.kind === 'done')
          assert.equal(Buffer.from(report.bytes).toString(), 'z'.repeat(3000));
      }),
      { seed: 7, numRuns: 500 },
    );
  });

  it('of another statement is refused', () => {
    assert.throws(() => parseReply(text, newId()), ReplyDamage);
  });

  it('that unpacks to more than it says is refused', () => {
    const lying = text.replace(/ 3000 /, ' 300 ');
    assert.notEqual(lying, text);
    assert.throws(() => parseReply(lying, nonce), ReplyDamage);
  });
});
