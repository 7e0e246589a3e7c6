/** Set-up as the README has it, on a machine that may have nothing yet. */
import assert from 'node:assert/strict';
import { reprise } from '../support/cli.js';

describe('reprise setup', () => {
  it('brings all that runs need', async () => {
    const { code, stderr } = await reprise(['setup']);
    assert.equal(code, 0, stderr);
  }).timeout(1_800_000);
});
