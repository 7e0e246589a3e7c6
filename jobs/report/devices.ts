/** What each device did for a run: the driver's counts and the memory manager's, as recorded. */
import type { DeviceWork } from '../../driver/backend/backend.js';
import { formatBytes } from '../../driver/support/size.js';
import { formatCount } from '../format.js';
import { html, type Markup } from './markup.js';

const ROWS: readonly (readonly [keyof DeviceWork, string])[] = [
  ['launches', 'Kernels launched'],
  ['compiles', 'Kernels compiled'],
  ['copiesIn', 'Copies to it'],
  ['bytesIn', 'Bytes to it'],
  ['copiesOut', 'Copies from it'],
  ['bytesOut', 'Bytes from it'],
  ['copiesAcross', 'Copies from other devices'],
  ['bytesAcross', 'Bytes from other devices'],
  ['waits', 'Waits for it'],
  ['allocations', 'Allocations'],
  ['recycled', 'Recycled without an allocation'],
  ['frees', 'Frees'],
  ['reused', 'Values reused in its memory'],
  ['evicted', 'Values evicted'],
  ['movedOut', 'Values moved out for room'],
  ['movedBack', 'Values moved back'],
  ['losses', 'Times lost'],
  ['peakBytes', 'Memory at most'],
];

export function devicesSection(devices: Readonly<Record<string, DeviceWork>>): Markup {
  const all = Object.entries(devices);
  const head = all.map(([name]) => html`<th scope="col" class="n">${name}</th>`);
  const rows = ROWS.map(([key, what]) => {
    const shown = /bytes/i.test(key) ? formatBytes : formatCount;
    const cells = all.map(([, work]) => html`<td class="n">${shown(work[key])}</td>`);
    return html`<tr><th scope="row">${what}</th>${cells}</tr>`;
  });
  return html`<table class="facts"><thead><tr><th scope="col">What</th>${head}</tr></thead><tbody>${rows}</tbody></table>`;
}
