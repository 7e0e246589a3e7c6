/**
 * The two streams of a command: data on standard output, everything for people on standard error. Invariant: colour
 * and moving lines appear only on a terminal and never with NO_COLOR; a closed pipe is no error.
 */
import { writeSync } from 'node:fs';
import { env } from '../../driver/support/env.js';

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
      if (!options.quiet) writeErr(`${isInteractive ? CLEAR_LINE : ''}${redact(text)}\n`);
    },
    error: (text) => {
      const label = isInteractive ? '\u001b[31merror\u001b[39m' : 'error';
      writeErr(`${label}: ${redact(text)}\n`);
    },
  };
}

/**
 * Writes data to standard output and waits until it is out. A reader that closed the pipe (`| head`) has what it
 * wanted: that is no error.
 */
export function writeData(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (cause) => {
      if (cause && (cause as NodeJS.ErrnoException).code !== 'EPIPE') reject(cause);
      else resolve();
    });
  });
}

/** Keeps closed pipes from ending the process with a stack trace; called once at the start. */
export function ignoreClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EPIPE') throw cause;
    });
  }
}

function writeErr(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // Nobody is left to tell.
  }
}

const SECRET_NAME = /(TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|API_?KEY)/i;

/** Takes user names and passwords in addresses, bearer tokens and secret environment values out of a text. */
export function redact(text: string): string {
  let safe = text
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, '$1***@')
    .replace(/\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, '$1 ***');
  for (const [name, value] of Object.entries(process.env)) {
    if (value && value.length >= 6 && SECRET_NAME.test(name)) safe = safe.replaceAll(value, '***');
  }
  return safe;
}
