/**
 * Where the user wrote the expression that does not fit: the first stack frame outside the driver.
 * Looked up only when an error is thrown, since a stack costs a hundred times a node.
 */
import { DTypeError, PlanError, ShapeError } from '../errors.js';

const builtRoot = new URL('..', import.meta.url).href;
/** The same folder as source maps show it. */
const sourceRoot = builtRoot.replace('/dist/driver/', '/driver/');
const driverRoots = [builtRoot, sourceRoot].flatMap((root) => [root, root.replace('file://', '')]);
const MAX_FRAMES = 50;

/** `file:line:column` of the caller outside the driver; undefined when the stack has none. */
export function callSite(): string | undefined {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = MAX_FRAMES;
  const { stack } = new Error();
  Error.stackTraceLimit = limit;
  for (const line of stack?.split('\n').slice(1) ?? []) {
    if (line.includes('node:') || driverRoots.some((root) => line.includes(root))) continue;
    const place = /\(?((?:file:\/\/)?[^()\s]+:\d+:\d+)\)?$/.exec(line)?.[1];
    if (place !== undefined) return place.replace('file://', '');
  }
  return undefined;
}

/** The same error with the call site in its message and facts; other errors as they are. */
export function withCallSite(error: unknown): unknown {
  if (!(error instanceof PlanError) || error.facts.callSite !== undefined) return error;
  const site = callSite();
  if (site === undefined) return error;
  const message = `${error.message} (at ${site})`;
  const facts = { ...error.facts, callSite: site };
  if (error instanceof ShapeError) return new ShapeError(message, facts);
  if (error instanceof DTypeError) return new DTypeError(message, facts);
  return new PlanError(message, facts, error.code);
}
