/** Which directives of time formats both engines write and read alike. */
import { refuse } from './refusal.js';

const WRITTEN = /^(-[dmHIMSyj]|[YymdHIMSfpjaAbBwu%])$/;
const READ = /^[YymdHIMSfpbB%]$/;

/** @throws SqlRefusal naming the first directive that is not in the table */
export function checkFormat(format: string, name: 'strftime' | 'strptime'): void {
  if (name === 'strptime' && format !== format.trim()) {
    throw refuse(`${name}() with a format that begins or ends with a blank`, 'trim the text');
  }
  const test = name === 'strftime' ? WRITTEN : READ;
  for (const [directive] of format.matchAll(/%-?.?/gs)) {
    if (test.test(directive.slice(1))) continue;
    throw refuse(`${name}() with ${directive}`, 'the page of functions lists the directives taken');
  }
}
