/** What an open CUDA device knows its memory and the places in its queues by. */
import type { DeviceEvent, Pointer, QueueName } from '../driver.js';

export class CudaPointer implements Pointer {
  readonly bytes: number;
  readonly address: bigint;

  constructor(bytes: number, address: bigint) {
    this.bytes = bytes;
    this.address = address;
  }
}

export class CudaEvent implements DeviceEvent {
  readonly queue: QueueName;
  readonly mark: number;
  /** The device. */
  readonly owner: object;

  constructor(owner: object, queue: QueueName, mark: number) {
    this.owner = owner;
    this.queue = queue;
    this.mark = mark;
  }
}
