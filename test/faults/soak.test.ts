/** A session that runs ever new jobs: `npm run bench -- soak` runs a thousand. */
import assert from 'node:assert/strict';
import { soak } from '../../bench/soak.js';
import { median } from '../../bench/stats.js';

const JOBS = 150;

describe('a session that runs ever new jobs', () => {
  it('keeps what it cached within its budget and little else, and gets no slower', async () => {
    const { memory, cpuSeconds } = await soak({ jobs: JOBS, every: JOBS / 3 });
    const at = (job: number): number => memory.get(job)!.besidesValues * 1024;
    // Profiles and layouts of the data, some kilobytes; it was 400 with the nodes of every fit.
    const grown = (at(JOBS) - at(JOBS / 3)) / ((JOBS * 2) / 3);
    assert.ok(grown < 100, `${grown.toFixed(1)} KiB a job`);
    const [first, last] = [cpuSeconds.slice(25, 50), cpuSeconds.slice(-25)].map(median);
    assert.ok(last! < 2 * first!, `${first} s of processor a job at first, ${last} s at last`);
  }).timeout(120_000);
});
