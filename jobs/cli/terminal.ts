/**
 * The two streams of a command: data on standard output, everything for people on standard error.
 * Invariant: colour and moving lines appear only on a terminal and never with NO_COLOR; a closed
 * pipe is no error; and no text of a job, its data or a path moves the cursor, sets colours or
 * hides what stands there.
 */
import { writeSync } from 'node:fs';
import { ResourceError } from '../../driver/errors.js';
import { env } from '../../driver/support/env.js';
import { redact } from '../../driver/support/redact.js';

const CLEAR_LINE = '\r\u001b[K';

export interface Terminal {
  /** Whether standard error may show colour and moving lines. */
  readonly isInteractive: boolean;
  /** Says something to people, unless `--quiet`. */
  note(text: string): void;
  /** Says what went wrong, always. */
  error(text: string): void;
}

export function createTerminal(options: { readonly quiet: boolean }): Terminal {
  const isInteractive = process.stderr.isTTY === true && !env.noColor();
  return {
    isInteractive: isInteractive && !options.quiet,
    note: (text) => {
      // A progress line may stand there; it is drawn again below.
      if (!options.quiet) writeErr(`${isInteractive ? CLEAR_LINE : ''}${visible(redact(text))}\n`);
    },
    error: (text) => {
      const label = isInteractive ? '\u001b[31merror\u001b[39m' : 'error';
      writeErr(`${label}: ${visible(redact(text))}\n`);
    },
  };
}

/**
 * Writes data to standard output and waits until it is out. A reader that closed the pipe (`|
 * head`) has what it wanted: that is no error.
 * @throws ResourceError when it can't be written
 */
export function writeData(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(visible(text), (cause) => {
      const fault = cause ? outputFault(cause) : undefined;
      if (fault === undefined) resolve();
      else reject(fault);
    });
  });
}

/** Keeps broken output streams from ending the process with a stack trace; called at the start. */
export function watchStreams(): void {
  // `writeData` tells who wrote; of standard error nobody is left to tell.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
}

function outputFault(cause: Error): ResourceError | undefined {
  const { code = cause.message } = cause as NodeJS.ErrnoException;
  if (code === 'EPIPE') return undefined;
  return new ResourceError(
    `standard output: expected to write the answer, got ${code}`,
    { resource: 'disk', code },
    { cause },
  );
}

/**
 * Characters that a terminal obeys instead of showing, and those that turn the direction of text,
 * as JSON writes them: what stands in a JSON document keeps its meaning.
 */
export function visible(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must go
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function writeErr(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // Nobody is left to tell.
  }
}
