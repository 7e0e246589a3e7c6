/** Lengths of time as people write them in settings: `30s`, `10m`, `4h`, `7d`, `250ms`. */

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** What `parseDuration` takes, for messages. */
export const DURATION = 'a length of time such as 30s, 10m, 4h or 7d';

/** What a text stands for; undefined when it is no length of time. @units ms */
export function parseDuration(text: string): number | undefined {
  const [, number = '', unit = ''] = /^(\d{1,9}(?:\.\d{1,6})?)\s*([a-z]+)$/.exec(text.trim()) ?? [];
  const factor = UNITS_MS[unit];
  return factor === undefined ? undefined : Math.round(Number(number) * factor);
}

/** In its two largest units: `2h 5m`, `45s`. */
export function formatDuration(ms: number): string {
  const parts: string[] = [];
  let rest = Math.max(0, Math.round(ms < 1000 ? ms : ms / 1000) * (ms < 1000 ? 1 : 1000));
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const count = Math.floor(rest / UNITS_MS[unit]!);
    rest -= count * UNITS_MS[unit]!;
    if (count > 0) parts.push(`${count}${unit}`);
    else if (parts.length > 0) break;
  }
  return parts.slice(0, 2).join(' ') || '0s';
}
