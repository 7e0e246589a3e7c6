/** `reprise schedule ls`: next times, what runs, how the last runs ended. Starts nothing. */
import { formatBest, formatTable } from '../format.js';
import { readSchedule } from '../schedule/read-schedule.js';
import { stateFolderOf } from '../schedule/schedule-work.js';
import type { ActiveTime, SettledTime } from '../schedule/state.js';
import { nextTime } from '../schedule/times.js';
import { zonedText } from '../schedule/zone.js';
import { EXIT } from './exit-codes.js';
import { writeData } from './terminal.js';

interface ScheduleOverview {
  readonly name: string;
  readonly file: string;
  readonly cron: readonly string[];
  readonly zone: string;
  /** ISO 8601 with the zone's offset. */
  readonly next: readonly string[];
  readonly active: readonly Shown<ActiveTime>[];
  /** The latest first. */
  readonly recent: readonly Shown<SettledTime>[];
  readonly counts: Readonly<Record<string, number>>;
}

type Shown<T> = Omit<T, 'time' | 'owner'> & { readonly time: string };

const NEXT_TIMES = 3;

export async function scheduleListCommand(
  files: readonly string[],
  { json }: { readonly json?: boolean },
): Promise<number> {
  const shown = await Promise.all(files.map(overviewOfSchedule));
  if (json) await writeData(`${JSON.stringify(shown)}\n`);
  else await writeData(`${shown.map(scheduleText).join('\n\n')}\n`);
  return EXIT.done;
}

async function overviewOfSchedule(file: string): Promise<ScheduleOverview> {
  const scheduled = await readSchedule(file);
  const { schedule, name } = scheduled;
  const { state } = await stateFolderOf(scheduled, Date.now());
  const { active, recent, counts } = await state.read();
  const next: string[] = [];
  let time = nextTime(schedule, Date.now());
  while (time !== undefined && next.length < NEXT_TIMES) {
    next.push(zonedText(time, schedule.zone));
    time = nextTime(schedule, time);
  }
  const show = <T extends { readonly time: number }>(one: T): Shown<T> => {
    const { owner: _, ...rest } = one as T & { readonly owner?: unknown };
    return { ...rest, time: zonedText(one.time, schedule.zone) } as Shown<T>;
  };
  return {
    name,
    file: scheduled.file,
    cron: schedule.cron,
    zone: schedule.zone,
    next,
    active: active.map(show),
    recent: recent.map(show).reverse(),
    counts,
  };
}

const SHOWN_TIMES = 10;

function scheduleText(one: ScheduleOverview): string {
  const rows = [
    ...one.active.map(({ time, phase, run }) => [time, phase, run, '']),
    ...one.recent
      .slice(0, SHOWN_TIMES)
      .map(({ time, state, run, best, why }) => [
        time,
        state,
        run ?? '',
        why ?? (best ? formatBest(best) : ''),
      ]),
  ];
  const counts = Object.entries(one.counts).flatMap(([what, count]) =>
    count > 0 ? [`${count} ${what}`] : [],
  );
  return [
    `${one.name}  ${one.cron.join(' | ')} in ${one.zone}`,
    `next  ${one.next.join(', ') || 'never again'}`,
    `so far  ${counts.join(', ') || 'nothing'}`,
    ...(rows.length === 0 ? [] : ['', formatTable([['time', 'state', 'run', ''], ...rows])]),
  ].join('\n');
}
