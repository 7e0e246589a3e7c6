/**
 * Minimum s-t cut of a directed network, by Dinic's algorithm (1970). Capacities are whole numbers,
 * so that the cut found does not depend on rounding; among cuts of the same capacity the one with
 * the largest source side is returned.
 */

/** As good as infinite; far above any sum of other capacities. */
export const UNCUTTABLE = 1e14;

export class MinCut {
  readonly source = 0;
  readonly sink = 1;
  readonly #heads: number[] = [-1, -1];
  readonly #to: number[] = [];
  readonly #next: number[] = [];
  readonly #capacity: number[] = [];

  /** A new vertex. */
  vertex(): number {
    return this.#heads.push(-1) - 1;
  }

  /** `capacity` is paid when `from` is on the source side and `to` on the sink side. */
  edge(from: number, to: number, capacity: number): void {
    const whole = Math.min(UNCUTTABLE, Math.round(capacity));
    if (!(whole > 0) || from === to) return;
    this.#arc(from, to, whole);
    this.#arc(to, from, 0);
  }

  /** True for each vertex on the sink side. */
  solve(): boolean[] {
    const level = new Int32Array(this.#heads.length);
    while (this.#levels(level)) this.#augment(level);
    return this.#sinkSide();
  }

  #arc(from: number, to: number, capacity: number): void {
    this.#to.push(to);
    this.#capacity.push(capacity);
    this.#next.push(this.#heads[from]!);
    this.#heads[from] = this.#to.length - 1;
  }

  /** Distances from the source over arcs with capacity left. False if the sink is unreachable. */
  #levels(level: Int32Array): boolean {
    level.fill(-1);
    level[this.source] = 0;
    const queue = [this.source];
    for (let at = 0; at < queue.length; at++) {
      const vertex = queue[at]!;
      for (let arc = this.#heads[vertex]!; arc >= 0; arc = this.#next[arc]!) {
        const to = this.#to[arc]!;
        if (this.#capacity[arc]! <= 0 || level[to]! >= 0) continue;
        level[to] = level[vertex]! + 1;
        queue.push(to);
      }
    }
    return level[this.sink]! >= 0;
  }

  /** Blocking flow; iterative, so that a long chain does not overflow the stack. */
  #augment(level: Int32Array): void {
    const current = [...this.#heads];
    const path: number[] = [];
    let vertex = this.source;
    for (;;) {
      if (vertex === this.sink) {
        let flow = Infinity;
        for (const arc of path) flow = Math.min(flow, this.#capacity[arc]!);
        for (const arc of path) {
          this.#capacity[arc]! -= flow;
          this.#capacity[arc ^ 1]! += flow;
        }
        path.length = 0;
        vertex = this.source;
        continue;
      }
      let arc = current[vertex]!;
      while (arc >= 0 && !this.#isOpen(arc, vertex, level)) arc = this.#next[arc]!;
      current[vertex] = arc;
      if (arc >= 0) {
        path.push(arc);
        vertex = this.#to[arc]!;
        continue;
      }
      const back = path.pop();
      if (back === undefined) return;
      level[vertex] = -1;
      vertex = this.#to[back ^ 1]!;
    }
  }

  #isOpen(arc: number, from: number, level: Int32Array): boolean {
    return this.#capacity[arc]! > 0 && level[this.#to[arc]!] === level[from]! + 1;
  }

  /** Vertices from which the sink can still be reached. */
  #sinkSide(): boolean[] {
    const reached = new Array<boolean>(this.#heads.length).fill(false);
    reached[this.sink] = true;
    const queue = [this.sink];
    for (let at = 0; at < queue.length; at++) {
      for (let arc = this.#heads[queue[at]!]!; arc >= 0; arc = this.#next[arc]!) {
        const from = this.#to[arc]!;
        if (reached[from] || this.#capacity[arc ^ 1]! <= 0) continue;
        reached[from] = true;
        queue.push(from);
      }
    }
    return reached;
  }
}
