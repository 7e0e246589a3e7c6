/**
 * Where the values of a block lie in lane memory: each from the step that makes it to its last
 * reader, after which another lies there. A network of many layers so takes what a few of them do,
 * which stays in the cache.
 */
import { cellBytes } from '../../../driver/ir/dtype.js';
import { kernelOf } from '../kernels/index.js';
import type { CellStep, Form, KernelStep, RowProgram, Sink } from './row-program.js';

export interface LaneLayout {
  /** By number of a value; undefined for operands, which lie elsewhere. @units bytes */
  readonly addresses: readonly (number | undefined)[];
  /** Of all values. */
  readonly bytes: number;
  /** Of the operands that one step copies, after the values. */
  readonly copied: number;
  /** Of what a kernel takes for itself, after both. */
  readonly beside: number;
}

interface Room {
  readonly start: number;
  readonly end: number;
  readonly last: number;
}

/**
 * @param rowsOf how many rows of an operand, or of a value, a block has
 * @param round where a value may end
 */
export function laneLayout(
  { steps, sinks, kept }: Pick<RowProgram, 'steps' | 'sinks' | 'kept'>,
  operands: readonly Form[],
  rowsOf: (form: Form, operand?: number) => number,
  round: (bytes: number) => number,
): LaneLayout {
  const bytesOf = (form: Form, operand?: number): number =>
    round(rowsOf(form, operand) * form.cols * cellBytes(form));
  const forms = [...operands];
  const lastReader = lastReaders(operands.length, steps, sinks, kept);
  const addresses: (number | undefined)[] = operands.map(() => undefined);
  let rooms: Room[] = [];
  let [bytes, copied, beside] = [0, 0, 0];
  const take = (size: number, last: number): number => {
    let start = 0;
    for (const room of rooms) {
      if (room.start - start >= size) break;
      start = Math.max(start, room.end);
    }
    rooms.push({ start, end: start + size, last });
    rooms.sort((a, b) => a.start - b.start);
    bytes = Math.max(bytes, start + size);
    return start;
  };
  for (const [at, step] of steps.entries()) {
    if (step.kind === 'kernel') {
      beside = Math.max(beside, besideOf(step, forms));
      forms.push(step.out);
      addresses.push(take(bytesOf(step.out), lastReader.get(addresses.length) ?? at));
    } else {
      let copies = 0;
      for (const input of step.inputs) {
        if (typeof input === 'number') {
          if (input < operands.length) copies += bytesOf(forms[input]!, input);
        } else {
          const { rows, cols, dtype } = forms[input.table]!;
          copies += round((rows + 1) * cols * cellBytes({ dtype }));
          copies += round(rowsOf(forms[input.numbers]!, input.numbers) * INDEX_BYTES);
        }
      }
      copied = Math.max(copied, copies);
      for (const { form, over } of step.outs) {
        forms.push(form);
        const own = addresses.length;
        const there = over === undefined ? undefined : addresses[over]!;
        addresses.push(there ?? take(bytesOf(form), lastReader.get(own) ?? at));
      }
    }
    rooms = rooms.filter(({ last }) => last > at);
  }
  for (const sink of sinks) beside = Math.max(beside, besideOf(sink, forms));
  return { addresses, bytes, copied, beside };
}

const INDEX_BYTES = Int32Array.BYTES_PER_ELEMENT;

function besideOf({ op, attrs, inputs, out }: KernelStep | Sink, forms: readonly Form[]): number {
  const own = inputs.map((input) => forms[input]!);
  return kernelOf.get(op)?.laneBytes?.(attrs, own, out) ?? 0;
}

/** By value: the last step that reads it, or what is written over it; infinite for what is left. */
function lastReaders(
  operands: number,
  steps: readonly (KernelStep | CellStep)[],
  sinks: readonly Sink[],
  kept: readonly number[],
): Map<number, number> {
  const last = new Map<number, number>();
  /** In whose memory a value lies. */
  const owners = new Map<number, number>();
  const read = (value: number, at: number): void => {
    const owner = owners.get(value) ?? value;
    last.set(owner, Math.max(last.get(owner) ?? 0, at));
  };
  let next = operands;
  for (const [at, step] of steps.entries()) {
    for (const input of step.inputs) {
      if (typeof input === 'number') read(input, at);
      else for (const one of [input.numbers, input.table]) read(one, at);
    }
    if (step.kind === 'kernel') next++;
    else {
      for (const { over } of step.outs) {
        if (over !== undefined) owners.set(next, owners.get(over) ?? over);
        // Nothing else may lie there while this step writes.
        read(next++, at);
      }
    }
  }
  for (const { inputs } of sinks) for (const input of inputs) read(input, Infinity);
  for (const value of kept) read(value, Infinity);
  return last;
}
