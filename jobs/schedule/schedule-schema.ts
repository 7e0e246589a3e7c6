/**
 * The `schedule` section of job and pipeline files: its keys, and the `Schedule` that comes of
 * them. Invariant: a section that passes makes a schedule whose times can be computed.
 */
import { resolve } from 'node:path';
import * as z from 'zod';
import { DURATION, parseDuration } from '../../driver/support/duration.js';
import { secretSource } from '../config/secret-schema.js';
import { CATCH_UPS, EVENTS, OVERLAPS, type Schedule } from './schedule.js';
import { cronProblem } from './times.js';
import { endOfDay, isDate, isZone, MOMENT_TEXT, parseMoment } from './zone.js';

const text = (max: number) => z.string().min(1).max(max);

const duration = text(40).refine((value) => parseDuration(value) !== undefined, {
  error: DURATION,
});

const cron = text(200).superRefine((value, context) => {
  const problem = cronProblem(value);
  if (problem === undefined) return;
  const message = `a cron expression such as "30 2 * * *" (${problem})`;
  context.addIssue({ code: 'custom', message });
});

const moment = text(40).refine((value) => parseMoment(value, 'UTC') !== undefined, {
  error: MOMENT_TEXT,
});

const retries = z.union([
  z.int().min(0).max(1000),
  z.strictObject({
    times: z.int().min(0).max(1000).default(3).meta({
      description: 'Attempts after the first. Default: 3.',
    }),
    delay: duration.default('1m').meta({ description: 'Before the first of them. Default: 1m.' }),
    factor: z.number().min(1).max(100).default(2).meta({
      description: 'How much longer each delay is than the one before. Default: 2.',
    }),
    most: duration.default('30m').meta({ description: 'The longest delay. Default: 30m.' }),
  }),
]);

const waitFor = z.strictObject({
  files: z
    .union([text(4096), z.array(text(4096)).min(1).max(100)])
    .meta({ description: 'Files or globs, relative to the file; each must match a file.' }),
  deadline: duration.default('4h').meta({
    description: 'How long to wait; then the time has failed. Default: 4h.',
  }),
  every: duration.default('30s').meta({ description: 'Between two looks. Default: 30s.' }),
});

const notify = z
  .strictObject({
    command: z.array(text(4096)).min(1).max(100).optional().meta({
      description: 'A program and its arguments; it reads the event as JSON.',
    }),
    webhook: z
      .union([text(4096), secretSource])
      .optional()
      .meta({
        description:
          'Address that the event is posted to as JSON. One that is a secret comes from `{env: NAME}`, `{file: PATH}` or `{command: [..]}`.',
      }),
    on: z
      .array(z.enum(EVENTS))
      .min(1)
      .max(EVENTS.length)
      .default([...EVENTS])
      .meta({ description: 'What to tell of. Default: all.' }),
    score_drop: z.number().min(0).default(0).meta({
      description:
        'A best score lower than the last good run by more than this has fallen. Default: 0.',
    }),
  })
  .refine(({ command, webhook }) => command !== undefined || webhook !== undefined, {
    error: '`command` or `webhook`',
  });

export const scheduleSchema = z
  .strictObject({
    cron: z.union([cron, z.array(cron).min(1).max(100)]).meta({
      description: 'When to run, as a cron expression, or several.',
    }),
    zone: text(100)
      .refine(isZone, { error: 'the name of a time zone such as Europe/Berlin' })
      .default('UTC')
      .meta({ description: 'Time zone of the expressions. Default: UTC.' }),
    start: moment.optional().meta({ description: 'No times before. Default: when first started.' }),
    end: moment.optional().meta({ description: 'No times after; of a date the whole day.' }),
    catch_up: z.enum(CATCH_UPS).default('last').meta({
      description: 'Which of the times to run that were missed. Default: last.',
    }),
    window: duration.default('7d').meta({
      description: 'How far catch-up looks back. Default: 7d.',
    }),
    overlap: z.enum(OVERLAPS).default('skip').meta({
      description: 'What becomes of a time that comes while another runs. Default: skip.',
    }),
    retries: retries.prefault(0).meta({
      description: 'Attempts after one that failed for a reason that may pass. Default: 0.',
    }),
    timeout: duration.optional().meta({
      description: 'What one attempt may take; then it is stopped. Default: no limit.',
    }),
    wait_for: waitFor.optional().meta({ description: 'Files that a run waits for.' }),
    keep: z.int().min(1).max(100_000).optional().meta({
      description: 'The latest times whose run folders stay; older ones are removed. Default: all.',
    }),
    notify: notify.optional().meta({ description: 'Who is told of failure and recovery.' }),
  })
  .meta({ id: 'schedule', description: 'When `reprise schedule` runs the file.' });

export type ScheduleDocument = z.output<typeof scheduleSchema>;

/** @param folder of the file: paths are relative to it */
export function scheduleOf(document: ScheduleDocument, folder: string): Schedule {
  const { cron, zone, start, end, notify: told, wait_for: waits, timeout, keep } = document;
  const given = document.retries;
  const tries = typeof given === 'number' ? retriesOf({ times: given }) : retriesOf(given);
  return {
    cron: [cron].flat(),
    zone,
    ...(start === undefined ? {} : { startMs: parseMoment(start, zone)! }),
    ...(end === undefined
      ? {}
      : { endMs: isDate(end) ? endOfDay(end, zone) : parseMoment(end, zone)! }),
    catchUp: document.catch_up,
    windowMs: parseDuration(document.window)!,
    overlap: document.overlap,
    retries: tries,
    ...(timeout === undefined ? {} : { timeoutMs: parseDuration(timeout)! }),
    ...(keep === undefined ? {} : { keep }),
    ...(waits === undefined
      ? {}
      : {
          waitFor: {
            files: [waits.files].flat().map((file) => resolve(folder, file)),
            deadlineMs: parseDuration(waits.deadline)!,
            everyMs: parseDuration(waits.every)!,
          },
        }),
    ...(told === undefined
      ? {}
      : {
          notify: {
            ...(told.command ? { command: told.command } : {}),
            ...(told.webhook ? { webhook: told.webhook } : {}),
            on: told.on,
            scoreDrop: told.score_drop,
          },
        }),
  };
}

function retriesOf(given: {
  times: number;
  delay?: string;
  factor?: number;
  most?: string;
}): Schedule['retries'] {
  const { times, delay = '1m', factor = 2, most = '30m' } = given;
  return { times, delayMs: parseDuration(delay)!, factor, mostMs: parseDuration(most)! };
}
