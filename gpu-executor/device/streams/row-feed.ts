/**
 * The rows of one operand on their way to the device, block by block. What the host has is copied
 * beside the kernels of the blocks before, into a few pieces of memory that take turns; where there
 * is room, blocks stay as copies that later passes find. Invariants: a copy begins behind the last
 * kernel that read its piece; memory that a pass has once taken serves all its blocks.
 */
import type { Expr } from '../../../driver/ir/expr.js';
import { Interner } from '../../../driver/ir/intern.js';
import { type DenseMatrix, type Handle, rowsView } from '../../../driver/ir/value.js';
import { ops } from '../../../driver/operators/index.js';
import type { DeviceEvent } from '../driver.js';
import { launchGroups } from '../launch-groups.js';
import type { Block } from '../memory/device-memory.js';
import { type LaunchedValue, type LaunchPlace, SegmentLaunch } from '../segment-launch.js';
import { leafOf } from './block-program.js';

/** Blocks on their way, being read, and being copied. */
export const BLOCKS_IN_FLIGHT = 3;

export interface RowFeed {
  /** @throws ResourceError, BackendLostError */
  bring(from: number, to: number): BroughtRows;
  close(): void;
}

/** Rows of a block, in memory that is locked until they are read. */
export interface BroughtRows {
  readonly value: LaunchedValue;
  /** What reads them is queued, up to that event; undefined: nothing will read them. */
  read(event: DeviceEvent | undefined): void;
}

/** What a pass leaves of the memory that no result has, for copies of blocks. @units bytes */
export interface StayingRoom {
  bytes: number;
}

/** A piece that copies take turns in. */
interface Piece {
  readonly block: Block;
  /** Kernels have read it by then. */
  free: DeviceEvent;
}

/** Of what the host has. */
export class HostRows implements RowFeed {
  readonly #place: LaunchPlace;
  readonly #value: DenseMatrix;
  readonly #blockBytes: number;
  /** Undefined: blocks are not looked for either, since the array holds other cells each time. */
  readonly #room: StayingRoom | undefined;
  readonly #pieces: Piece[] = [];
  #turn = 0;

  constructor(
    place: LaunchPlace,
    value: DenseMatrix,
    blockBytes: number,
    room: StayingRoom | undefined,
  ) {
    this.#place = place;
    this.#value = value;
    this.#blockBytes = blockBytes;
    this.#room = room;
  }

  bring(from: number, to: number): BroughtRows {
    const { cells, isLasting } = viewOf(this.#value, from, to);
    const room = isLasting ? this.#room : undefined;
    return room && this.#mayStay(cells, room) ? this.#stay(cells) : this.#pass(cells);
  }

  close(): void {
    const { memory } = this.#place;
    for (const { block } of this.#pieces.splice(0)) memory.release(block);
  }

  #stay(cells: ArrayBufferView): BroughtRows {
    const { uploads, memory } = this.#place;
    const value = { ...uploads.bring(cells, [cells], true), checks: [] };
    // Found again, it is worth keeping: what else the pass takes is not to go in its place.
    const found = memory.copyOf(cells);
    if (found !== undefined) memory.release(found);
    const read: BroughtRows['read'] = (event) => {
      if (event === undefined) uploads.unused(value);
      memory.release(value.block);
    };
    return { value, read };
  }

  #pass(cells: ArrayBufferView): BroughtRows {
    const { device, uploads } = this.#place;
    const piece = this.#nextPiece();
    const options = { queue: 'copy', after: [piece.free] } as const;
    const event = device.write(piece.block.pointer, cells, options);
    const value = { block: piece.block, event, checks: [] };
    const read: BroughtRows['read'] = (reader) => {
      if (reader === undefined) uploads.unused(value);
      else piece.free = reader;
    };
    return { value, read };
  }

  /** There already, or there is room. */
  #mayStay(cells: ArrayBufferView, room: StayingRoom): boolean {
    const { memory } = this.#place;
    const known = memory.copyOf(cells);
    if (known !== undefined) memory.release(known);
    else if (room.bytes < cells.byteLength) return false;
    room.bytes -= cells.byteLength;
    return true;
  }

  #nextPiece(): Piece {
    const turn = this.#turn++ % BLOCKS_IN_FLIGHT;
    const known = this.#pieces[turn];
    if (known !== undefined) return known;
    const { memory, device } = this.#place;
    const block = memory.take(this.#blockBytes);
    // Behind all that used this memory before.
    const piece = { block, free: device.copy(block.pointer, block.pointer, 0) };
    this.#pieces.push(piece);
    return piece;
  }
}

/** Of what the device has whole: rows are copied there. */
export class DeviceRows implements RowFeed {
  readonly #place: LaunchPlace;
  readonly #handle: Handle;
  readonly #maker = new Interner();
  readonly #leaf: Expr;

  constructor(place: LaunchPlace, expr: Expr, handle: Handle) {
    this.#place = place;
    this.#handle = handle;
    this.#leaf = leafOf(this.#maker, expr, expr.rows, 'whole');
  }

  bring(from: number, to: number): BroughtRows {
    const node = this.#maker.intern(ops.slice, [this.#leaf], { rows: [from, to], cols: null });
    const segment = {
      ...{ nodes: [node], inputs: new Map([[this.#leaf, this.#handle]]) },
      ...{ outputs: [], persist: [node], blocked: new Set<Expr>() },
    };
    const groups = launchGroups(segment, this.#place.device.properties, () => false);
    const value = new SegmentLaunch(this.#place, segment).queue(groups).get(node)!;
    return { value, read: () => this.#place.memory.release(value.block) };
  }

  close(): void {}
}

/** Views by the array they are of, so that copies of them are found again. */
const views = new WeakMap<object, Map<string, ArrayBufferView>>();

function viewOf(value: DenseMatrix, from: number, to: number) {
  // Cells of sparse forms are made for the block.
  if (value.sparse !== undefined)
    return { cells: rowsView(value, from, to).data, isLasting: false };
  const known = views.get(value.data) ?? new Map<string, ArrayBufferView>();
  views.set(value.data, known);
  const key = `${from} ${to}`;
  const cells = known.get(key) ?? rowsView(value, from, to).data;
  known.set(key, cells);
  return { cells, isLasting: true };
}
