/**
 * Ends the process at once, whatever its threads are in. `process.exit` waits for Node's own
 * threads, and one that opens a pipe nobody writes to, or is in a long native call, does not come
 * back.
 */
import { createRequire } from 'node:module';

/** Runs what is registered for the exit, then leaves by the system call. */
export function hardExit(code: number): never {
  try {
    process.emit('exit', code);
  } catch {
    // What could not be tidied up now is swept by the next process.
  }
  leave(code);
}

/** Leaves with nothing run before. */
export function leave(code: number): never {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    // The C library is part of the program, whatever its name is here.
    koffi.load(null).func('void _exit(int)')(code);
  } catch {
    // A platform koffi has no build for: killed, then.
  }
  process.kill(process.pid, 'SIGKILL');
  throw new Error('unreachable');
}
