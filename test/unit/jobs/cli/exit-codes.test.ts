/** The table from errors to exit codes, and what reaches a terminal. */
import assert from 'node:assert/strict';
import {
  ConfigError,
  ContactLostError,
  DataError,
  DTypeError,
  ExecutionError,
  InternalError,
  LivyError,
  PlanError,
  ResourceError,
  ShapeError,
  SingularError,
  UnsupportedError,
} from '../../../../driver/errors.js';
import { redact } from '../../../../driver/support/redact.js';
import { exitCodeOf } from '../../../../jobs/cli/exit-codes.js';
import { InterruptError } from '../../../../jobs/cli/interrupt.js';
import { LockedError } from '../../../../jobs/setup/lock.js';

describe('exit codes', () => {
  const table: readonly (readonly [Error, number])[] = [
    [new ConfigError('x'), 3],
    [new DataError('x'), 3],
    [new PlanError('x'), 3],
    [new ShapeError('x'), 3],
    [new DTypeError('x'), 3],
    [new UnsupportedError('x'), 3],
    [new SingularError('x'), 3],
    [new LivyError('x'), 5],
    [new ContactLostError('x'), 6],
    [new LockedError('x'), 75],
    [new ExecutionError('x'), 1],
    [new ResourceError('x'), 1],
    [new InternalError('x'), 1],
    [new Error('x'), 1],
    [new InterruptError('SIGINT'), 130],
    [new InterruptError('SIGTERM'), 143],
  ];
  for (const [error, code] of table)
    it(`gives ${code} for ${error.name} ${error instanceof InterruptError ? code : ''}`, () =>
      assert.equal(exitCodeOf(error), code));
});

describe('what reaches a terminal', () => {
  it('holds no secret', () => {
    const before = process.env.REPRISE_TEST_TOKEN;
    process.env.REPRISE_TEST_TOKEN = 'sesame-open-77';
    try {
      assert.equal(
        redact('GET https://me:pw@host/x Bearer abcdef0123456789 and sesame-open-77.'),
        'GET https://***@host/x Bearer *** and ***.',
      );
    } finally {
      if (before === undefined) delete process.env.REPRISE_TEST_TOKEN;
      else process.env.REPRISE_TEST_TOKEN = before;
    }
  });

  it('keeps ordinary text as it is', () => {
    const text = 'job.yaml:3:5: data.target: expected text, got 5 (basic check)';
    assert.equal(redact(text), text);
  });

  it('tells the version of a package from a user', () => {
    const text = 'expected npm://package@version/path or pypi://package@version/path';
    assert.equal(redact(text), text);
    assert.equal(redact('npm://me:pw@host/x'), 'npm://***@host/x');
    assert.equal(redact('xnpm://token@host/x'), 'xnpm://***@host/x');
  });
});
