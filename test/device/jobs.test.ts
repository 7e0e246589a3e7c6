/** Jobs with devices, as the command line runs them: what they are told of, and what they say. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Session } from '../../driver/index.js';
import { type DeviceBackend, openDeviceBackend } from '../../gpu-executor/device/backend.js';
import type { DeviceDriver } from '../../gpu-executor/device/driver.js';
import { deviceDrivers } from '../../gpu-executor/device/index.js';
import { planPage } from '../../jobs/cli/plan-page.js';
import { openDevices } from '../../jobs/devices/open-devices.js';
import { openSession } from '../../jobs/engines.js';
import type { Job } from '../../jobs/job-file/job.js';
import { parseJob } from '../../jobs/job-file/read-job.js';
import { planJob } from '../../jobs/plan-job.js';
import { renderReport } from '../../jobs/report/index.js';
import { runJob } from '../../jobs/run-job.js';
import type { RunRecord } from '../../jobs/runs/record.js';
import { summarize } from '../../jobs/runs/summary.js';
import { bestTrial } from '../../jobs/search/result.js';
import { reprise } from '../support/cli.js';
import { asynchronous, needsDevices } from '../support/devices.js';
import { type Faults, faultyDevice, lost, noMemory } from '../support/faulty-device.js';
import { JobFolder } from '../support/job-folder.js';
import { random } from '../support/random.js';

describe('device: jobs', function () {
  this.timeout(60_000);
  let folder: JobFolder;
  let driver: DeviceDriver;
  let name: string;

  before(function () {
    driver = needsDevices(this, 'device: jobs');
    name = `${driver.kind}:${asynchronous(driver)}`;
    folder = new JobFolder();
    const next = random(5);
    const rows = Array.from({ length: 600 }, () => {
      const cells = Array.from({ length: 4 }, () => next() - 0.5);
      return [...cells, cells[0]! + cells[1]! + 0.3 * (next() - 0.5) > 0 ? 1 : 0].join(',');
    });
    folder.write('data.csv', ['a,b,c,d,y', ...rows].join('\n'));
  });
  after(() => folder?.remove());

  /** Two kinds of classifiers that train in stacks. */
  function search(fields: Readonly<Record<string, unknown>> = {}): Job {
    const file = folder.job({
      model: [{ type: 'logistic' }, { type: 'linear-svm', name: 'svm' }],
      search: { grid: { C: [0.01, 1] } },
      cv: { folds: 3 },
      scoring: ['roc_auc', 'accuracy'],
      ...fields,
    });
    return parseJob(file, readFileSync(file, 'utf8'), { cwd: folder.path, store: false });
  }

  const opened = (
    faults: Faults = {},
    isLostForGood = false,
    index = asynchronous(driver),
    memoryBytes?: number,
  ): Promise<DeviceBackend> => {
    let opens = 0;
    return openDeviceBackend({
      open: () => {
        if (++opens > 1 && isLostForGood) throw new Error('pulled out');
        const device = driver.open(index);
        return opens > 1 ? device : faultyDevice(device, faults);
      },
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
    });
  };

  /** On these devices whatever they have kernels for, else on the processor. */
  async function runOn(job: Job, devices: readonly DeviceBackend[] = []): Promise<RunRecord> {
    const keep = { place: null, devices: 'none' } as const;
    const base = await openSession('local', undefined, undefined, 'local', undefined, keep);
    const placement = devices.length > 0 ? 'devices' : 'local';
    const session = new Session({ local: base.session.local, devices, placement });
    const names = devices.map((device) => device.name);
    try {
      const open = { ...base, session, ...(names.length > 0 ? { devices: names } : {}) };
      return await runJob(job, { engine: 'local', open });
    } finally {
      await session.close();
      await base.session.close();
      for (const device of devices) assert.equal(device.leaked, 0, 'pointers that were not freed');
    }
  }

  function assertSameScores(one: RunRecord, other: RunRecord, tolerance = 1e-8): void {
    assert.deepEqual(bestTrial(one.search)?.params, bestTrial(other.search)?.params);
    for (const [i, { meanScore }] of one.search.trials.entries()) {
      for (const [metric, score] of Object.entries(meanScore)) {
        const expected = other.search.trials[i]!.meanScore[metric]!;
        assert.ok(Math.abs(score - expected) <= tolerance, `${metric} ${score}, not ${expected}`);
      }
    }
  }

  it('never take the processor by themselves', async () => {
    const opened = await openDevices('auto', { drivers: deviceDrivers() });
    await Promise.all(opened.map((backend) => backend.close()));
    for (const backend of opened) assert.notEqual(backend.name, name);
  });

  it('say in plan, answer and report which device there is and what it did', async () => {
    const job = search({ model: { type: 'ridge' }, search: {}, scoring: ['r2'] });
    const keep = { place: null, devices: [name] };
    const open = await openSession('local', undefined, undefined, undefined, undefined, keep);
    try {
      const plan = planPage(await planJob(job, { engine: 'local', open }), false);
      assert.match(plan, new RegExp(`^devices ${name} \\S`, 'm'));
      const record = await runJob(job, { engine: 'local', open });
      assert.deepEqual(Object.keys(record.devices!), [name]);
      for (const [what, count] of Object.entries(record.devices![name]!)) {
        assert.ok(Number.isInteger(count) && count >= 0, `${count} ${what}`);
      }
      assert.equal(summarize(record, 'runs/x').devices, record.devices);
      assert.match(renderReport(record), /Kernels launched/);
    } finally {
      await open.session.close();
    }
  });

  it('train stacks there, with the answers of the processor', async () => {
    const job = search();
    const [here, there] = [await runOn(job), await runOn(job, [await opened()])];
    const { launches, waits, copiesIn } = there.devices![name]!;
    assert.ok(launches > 100, `${launches} launches`);
    assert.ok(waits < launches / 4, `${waits} waits for ${launches} launches`);
    assert.ok(copiesIn < launches / 2, `${copiesIn} copies for ${launches} launches`);
    assertSameScores(there, here);
    const lanes = new Set(there.timeline.map(({ lane }) => lane));
    assert.ok(lanes.has(name), [...lanes].join(', '));
  });

  it('search data far larger than the memory of a device, with the same bits again', async () => {
    const next = random(7);
    const rows = Array.from({ length: 3000 }, () => {
      const cells = Array.from({ length: 12 }, () => Math.round((next() - 0.5) * 1e4) / 1e4);
      return [...cells, cells[0]! + cells[1]! + 0.3 * (next() - 0.5) > 0 ? 1 : 0].join(',');
    });
    folder.write('large.csv', ['a,b,c,d,e,f,g,h,i,j,k,l,y', ...rows].join('\n'));
    const memoryBytes = 192 * 1024;
    const job = search({
      data: { path: 'large.csv', target: 'y' },
      model: { type: 'logistic', tol: 0.01 },
      search: { grid: { C: [1] } },
    });
    const here = await runOn(job);
    const on = async (): Promise<RunRecord> =>
      runOn(job, [await opened({}, false, asynchronous(driver), memoryBytes)]);
    const [one, two] = [await on(), await on()];
    assertSameScores(one, here);
    assertSameScores(two, one, 0);
    assert.deepEqual(two.model, one.model);
    const { bytesIn, peakBytes, launches } = one.devices![name]!;
    assert.ok(peakBytes <= memoryBytes, `${peakBytes} bytes held`);
    // Each iteration of a stack is a pass.
    assert.ok(bytesIn > 5 * 3000 * 12 * 8, `${bytesIn} bytes in, ${launches} launches`);
  });

  it('spread stacks over devices, with the same bits however many there are', async function () {
    if (driver.devices().length < 2) {
      console.warn('SKIPPED stacks on two devices: there is one');
      this.skip();
    }
    const job = search({
      model: { type: 'logistic', tol: 0.01 },
      search: { grid: { C: [1] } },
      cv: { folds: 8 },
    });
    const on = (indices: readonly number[]) =>
      Promise.all(indices.map((index) => opened({}, false, index)));
    const one = await runOn(job, await on([asynchronous(driver)]));
    const two = await runOn(job, await on([0, 1]));
    assertSameScores(two, one, 0);
    assert.deepEqual(two.model, one.model);
    const launches = Object.values(two.devices!).map((work) => work.launches);
    for (const count of launches) assert.ok(count > 50, `${launches.join(' and ')} launches`);
  });

  it('end before they begin where a named device is missing', async () => {
    const file = folder.job();
    const missing = `${driver.kind}:99`;
    const { code, stderr } = await reprise(['run', file, '--devices', missing]);
    assert.equal(code, 3);
    assert.match(
      stderr,
      new RegExp(`devices: expected a device of this machine \\(.*:0.*\\), got ${missing}; `),
    );
  });

  it('hold a device to the memory it may take', async () => {
    const variable = 'REPRISE_DEVICE_MEMORY';
    try {
      process.env[variable] = '150%';
      await assert.rejects(
        openDevices([name]),
        /^ConfigError: REPRISE_DEVICE_MEMORY: expected a size such as 4GiB.*, got "150%"/,
      );
      process.env[variable] = '48MiB';
      const [backend] = await openDevices([name]);
      await backend!.close();
      assert.equal(backend!.costs.memoryBytes, 48 * 2 ** 20);
    } finally {
      delete process.env[variable];
    }
  });

  it('go on where memory, the device or a kernel fails, and say so once', async () => {
    const job = search({ model: { type: 'logistic' }, search: { grid: { C: [1] } } });
    const expected = await runOn(job);
    for (const [what, failing, isForGood, warning] of [
      [
        'memory',
        noMemory,
        false,
        /^devices: [\d,]+ steps? of \w+:\d ran on the processor: .* got none/,
      ],
      ['a loss', lost, false, /^devices: \w+:\d was lost 1 time; what it held was computed again$/],
      ['a loss for good', lost, true, /^devices: \w+:\d was lost 1 time; /],
    ] as const) {
      let launches = 0;
      const faults: Faults = {
        before: (method) => {
          if (method === 'launch') launches++;
          const isHit = failing === lost ? method !== 'close' : /^(launch|allocate)$/.test(method);
          if (launches > 40 && isHit) throw failing(1000);
        },
      };
      const record = await runOn(job, [await opened(faults, isForGood)]);
      assert.ok(launches > 40, what);
      assertSameScores(record, expected);
      const said = (record.search.warnings ?? []).filter((text) => text.startsWith('devices'));
      assert.equal(said.filter((text) => warning.test(text)).length, 1, said.join('\n'));
      assert.ok(said.length <= 2, said.join('\n'));
    }
  });
});
