/** The files of `docs/schedules/` call the command line as it is, and hold together. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { packageRoot } from '../../../../driver/support/package-root.js';
import { reprise } from '../../../support/cli.js';

const folder = join(packageRoot(), 'docs/schedules');
const text = (name: string): string => readFileSync(join(folder, name), 'utf8');

describe('files of docs/schedules', function () {
  this.timeout(60_000);

  it('give options that the command line has', async () => {
    const all = readdirSync(folder).map(text).join('\n');
    for (const command of ['schedule', 'run', 'resume']) {
      const { stdout: help } = await reprise([command, '--help']);
      const calls = [...all.matchAll(new RegExp(`reprise,? ${command}\\b[^\\n;'"]*`, 'g'))];
      assert.ok(calls.length > 0, command);
      for (const [call] of calls) {
        for (const [option] of call.matchAll(/--[a-z-]+/g)) {
          assert.ok(help.includes(option), `${option} of ${call}`);
        }
      }
    }
  });

  it('are a CronJob whose state two pods may share', () => {
    const { kind, spec } = parse(text('kubernetes.yaml'));
    assert.equal(kind, 'CronJob');
    const { containers, volumes, restartPolicy } = spec.jobTemplate.spec.template.spec;
    assert.equal(restartPolicy, 'Never');
    assert.deepEqual(containers[0].command, [
      'npx',
      'reprise',
      'schedule',
      '--once',
      'nightly.yaml',
    ]);
    assert.equal(volumes[0].name, containers[0].volumeMounts[0].name);
  });
});
