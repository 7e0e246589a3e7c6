/**
 * A file that has a schedule, job or pipeline, as the scheduler sees it: its section, its name, and
 * where its runs go. What the file does is read by each run for itself.
 */
import { basename, dirname, extname, resolve } from 'node:path';
import * as z from 'zod';
import { ConfigError } from '../../driver/errors.js';
import type { Problem } from '../job-file/check-job.js';
import { type DocumentOptions, parseDocument, type ReadDocument } from '../job-file/document.js';
import { problemsOf } from '../job-file/problems.js';
import { readText } from '../job-file/read-text.js';
import { fillTemplates, type Variables } from '../job-file/templates.js';
import { isPipeline } from '../pipeline/is-pipeline.js';
import { type TimeVariables, timeOfDate, timeVariables } from './logical-time.js';
import type { Schedule } from './schedule.js';
import { type ScheduleDocument, scheduleOf, scheduleSchema } from './schedule-schema.js';
import { parseMoment } from './zone.js';

/** A file with its schedule, as of one logical time or of none. */
export interface ScheduledFile {
  /** Absolute. */
  readonly file: string;
  readonly folder: string;
  /** Of the file's document; else the file's own. */
  readonly name: string;
  readonly schedule: Schedule;
  /** Its runs share what its steps leave, so there is one at a time. */
  readonly isPipeline: boolean;
  /** Folder that holds the run folders, absolute. */
  readonly output: string;
}

/** Names that are known once the time is, and those of a pipeline's steps. */
const OF_TIMES = ['date', 'time', 'month', 'year', 'previous', 'next'] as const;
const LATER: readonly string[] = [...OF_TIMES, 'steps'];

export interface ReadScheduleOptions {
  readonly cwd?: string;
  readonly overrides?: readonly string[];
  /** Folder for run folders; relative to `cwd`. Default: as the file says, else `runs` beside it. */
  readonly output?: string;
}

/**
 * The file as the scheduler sees it.
 * @param time templates of the section are filled for it @units ms
 * @throws ConfigError for a file without a schedule, or with a wrong one
 */
export async function readSchedule(
  file: string,
  options: ReadScheduleOptions = {},
  time?: number,
): Promise<ScheduledFile> {
  const cwd = options.cwd ?? process.cwd();
  const text = await readText(resolve(cwd, file), file);
  const plain = parseDocument(file, text, { ...options, later: LATER });
  const calendar = sectionOf(plain, cwd);
  if (calendar === undefined) {
    throw new ConfigError(
      `${file}:1:1: schedule: expected a schedule such as {cron: "30 2 * * *"}, got none; docs/schedules.md says what it may have`,
      { source: 'file', file, key: 'schedule' },
    );
  }
  const variables = time === undefined ? undefined : timeVariables(time, calendar);
  const document =
    variables === undefined
      ? plain
      : parseDocument(file, text, { ...options, variables: { ...variables }, later: ['steps'] });
  return scheduledFile(document, sectionOf(document, cwd, variables)!, options);
}

/**
 * The document of a file with the names in its templates that `--date` gives, if it is given. Reads
 * the file once: it may be a pipe.
 * @throws ConfigError for text that is no date, and as `readDocument`
 */
export async function readDocumentOf(
  file: string,
  date: string | undefined,
  options: DocumentOptions = {},
): Promise<ReadDocument> {
  const cwd = options.cwd ?? process.cwd();
  const text = await readText(resolve(cwd, file), file);
  if (date === undefined) return parseDocument(file, text, options);
  const schedule = sectionOf(parseDocument(file, text, { ...options, later: LATER }), cwd);
  const variables = { ...timeVariables(timeOfDate(date, schedule), schedule) };
  return parseDocument(file, text, { ...options, variables });
}

function scheduledFile(
  { file, value }: ReadDocument,
  schedule: Schedule,
  { cwd = process.cwd(), output: asked }: ReadScheduleOptions,
): ScheduledFile {
  const path = resolve(cwd, file);
  const folder = dirname(path);
  const { name = basename(path, extname(path)), output = 'runs' } = value;
  return {
    file: path,
    folder,
    name: String(name),
    schedule,
    isPipeline: isPipeline(value),
    output: asked === undefined ? resolve(folder, String(output)) : resolve(cwd, asked),
  };
}

/**
 * Checks the section of a document, where it has one, as far as no logical time is needed.
 * @throws ConfigError listing every problem
 */
export function checkSchedule(document: ReadDocument, cwd = process.cwd()): void {
  sectionOf(document, cwd);
}

const sectionSchema = z.looseObject({ schedule: scheduleSchema });

/**
 * The checked section; undefined when there is none.
 * @param variables absent: templates that name a time stay as they are
 */
function sectionOf(
  document: ReadDocument,
  cwd: string,
  variables?: TimeVariables,
): Schedule | undefined {
  if (document.schedule === undefined) return undefined;
  const names = { ...(document.value.variables as Variables | undefined), ...variables };
  const later = variables === undefined ? LATER : ['steps'];
  const filled = fillTemplates(document.schedule, { names, later }, ['schedule']);
  if (filled.problems.length > 0) throw document.error(filled.problems);
  const section = { schedule: filled.value };
  const parsed = sectionSchema.safeParse(section);
  if (!parsed.success) {
    throw document.error(problemsOf(parsed.error.issues, section, sectionSchema));
  }
  const { schedule } = parsed.data;
  const folder = resolve(cwd, document.folderOf(['schedule', 'wait_for', 'files']));
  const problems = boundsProblems(schedule);
  if (problems.length > 0) throw document.error(problems);
  return scheduleOf(schedule, folder);
}

/** What is wrong with start and end together. */
function boundsProblems({ start, end, zone }: ScheduleDocument): Problem[] {
  if (start === undefined || end === undefined) return [];
  if (parseMoment(start, zone)! <= parseMoment(end, zone)!) return [];
  const message = `expected a moment from \`start\` (${start}) on, got ${JSON.stringify(end)}`;
  return [{ path: ['schedule', 'end'], message }];
}
