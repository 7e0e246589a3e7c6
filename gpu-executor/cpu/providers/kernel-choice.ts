/**
 * Whether a provider's kernel runs a node or our own: the one that is measured to be quicker for
 * its shapes, on a few rows when they are first met; costs keep the answer for later processes.
 * Invariants: without a provider nothing is loaded or measured; a node of one shape goes one way
 * all through a process, on every thread.
 */
import { CostModel } from '../../../driver/cost/cost-model.js';
import { ConfigError } from '../../../driver/errors.js';
import type { Expr } from '../../../driver/ir/expr.js';
import { type Cells, cellsOf, type DenseMatrix, dense } from '../../../driver/ir/value.js';
import { env } from '../../../driver/support/env.js';
import { kernelOf } from '../kernels/index.js';
import { allocateFresh, type Kernel } from '../kernels/kernel.js';
import type { Blas } from '../native/blas.js';
import type { KernelProvider, ProvidedForm } from './provider.js';
import { findTensorFlow, INSTALLED_BY, loadTensorFlow } from './tensorflow.js';

/** `always`: wherever it has a kernel, whatever it costs. */
const PROVIDER_WORDS = ['auto', 'none', 'always'] as const;
export type ProviderSetting = (typeof PROVIDER_WORDS)[number];

/** Less work is over before it is asked about. @units flops */
const MIN_FLOPS = 4e6;
/** Work after which a provider is loaded. @units flops */
const LOAD_FLOPS = 2e9;
/** Work of one measurement, and the rounds of two. @units flops */
const PROBE_FLOPS = 2e7;
const ROUNDS = 4;
/** A provider takes no more than this part of our own time. */
const WORTH = 0.9;
/** Shapes measured in a process; later ones run on our own kernels. */
const MAX_SHAPES = 256;

/** @throws ConfigError */
export function providerSetting(value = env.tensorflow()): ProviderSetting {
  const setting = value ?? 'auto';
  const words: readonly string[] = PROVIDER_WORDS;
  if (words.includes(setting)) return setting as ProviderSetting;
  throw new ConfigError(
    `tensorflow: expected ${PROVIDER_WORDS.join(', ')}, got ${JSON.stringify(setting)}`,
    { key: 'REPRISE_TENSORFLOW', value: setting },
  );
}

export class KernelChoice {
  /** Nodes a provider ran, by operator. */
  readonly provided = new Map<string, number>();
  readonly #setting: ProviderSetting;
  readonly #costs: CostModel;
  readonly #blas: Blas;
  readonly #chosen = new Map<string, boolean>();
  readonly #chosenNodes = new WeakMap<Expr, boolean>();
  #provider: KernelProvider | undefined;
  #isSettled: boolean;
  #flops = 0;

  constructor(blas: Blas, setting: ProviderSetting, costs = new CostModel()) {
    this.#blas = blas;
    this.#setting = setting;
    this.#costs = costs;
    this.#isSettled = setting === 'none' || (setting === 'auto' && findTensorFlow() === undefined);
  }

  get provider(): KernelProvider | undefined {
    return this.#provider;
  }

  /**
   * Loads the provider once there is work for it.
   * @throws ConfigError where it is to run always and can't be loaded
   */
  async prepare(nodes: Iterable<Expr> = []): Promise<void> {
    if (this.#isSettled) return;
    for (const expr of nodes) {
      const { op, inputs, attrs, dtype } = expr;
      if (dtype === 'float32' && op.work === 'product') {
        this.#flops += op.flops(inputs, attrs, expr);
      }
    }
    if (this.#setting === 'auto' && this.#flops < LOAD_FLOPS) return;
    this.#isSettled = true;
    const loaded = await loadTensorFlow();
    if (typeof loaded !== 'string') this.#provider = loaded;
    else if (this.#setting === 'always') {
      throw new ConfigError(
        `tensorflow: expected a TensorFlow.js that loads, got: ${loaded}; ${INSTALLED_BY}, or say auto`,
        { key: 'REPRISE_TENSORFLOW', value: this.#setting },
      );
    }
  }

  /** The provider's kernel where that is to run the node. */
  kernelFor(expr: Expr): Kernel<Cells> | undefined {
    const provider = this.#provider;
    if (provider === undefined) return undefined;
    let isChosen = this.#chosenNodes.get(expr);
    if (isChosen === undefined) {
      const { op, attrs, inputs } = expr;
      const form = { op: op.name, attrs, inputs, out: expr };
      isChosen = provider.has(form) && (this.#setting === 'always' || this.#isQuicker(expr, form));
      this.#chosenNodes.set(expr, isChosen);
    }
    return isChosen ? provider.kernelOf.get(expr.op.name) : undefined;
  }

  /** The provider and the nodes it ran; undefined for none. */
  description(): string | undefined {
    if (this.#provider === undefined || this.provided.size === 0) return undefined;
    const counts = [...this.provided].map(([op, nodes]) => `${nodes} of ${op}`);
    return `${this.#provider.description}: ${counts.join(', ')}`;
  }

  /** Counts a node that the provider's kernel runs. */
  count({ op }: Expr): void {
    this.provided.set(op.name, (this.provided.get(op.name) ?? 0) + 1);
  }

  #isQuicker(expr: Expr, form: ProvidedForm): boolean {
    const { op, attrs, inputs } = expr;
    const flops = op.flops(inputs, attrs, expr);
    if (flops < MIN_FLOPS) return false;
    const provider = this.#provider!;
    const { kind, blocked } = op.rowRule(inputs, attrs);
    const sizes = inputs.map(({ rows, cols }, i) => (blocked[i] ? `${cols}` : `${rows}x${cols}`));
    const shape = [...sizes, ...Object.entries(attrs).map((pair) => pair.join('='))].join(' ');
    const key = `${this.#blas.kind}/${op.name}/${provider.name} ${shape}`;
    const known = this.#chosen.get(key);
    if (known !== undefined) return known;
    if (!this.#costs.knows(key)) {
      if (this.#chosen.size >= MAX_SHAPES) return false;
      const all = Math.max(1, ...inputs.map(({ rows }, i) => (blocked[i] ? rows : 1)));
      const rows = Math.max(1, Math.min(all, Math.ceil((PROBE_FLOPS * all) / flops)));
      const probe = new Probe(form, blocked, rows, kind === 'reduce', this.#blas);
      let [own, theirs] = [Infinity, Infinity];
      // The least: the first ones load code, and a pause would choose for good.
      for (let round = 0; round < ROUNDS; round++) {
        own = Math.min(own, probe.seconds(kernelOf.get(op.name)!));
        theirs = Math.min(theirs, probe.seconds(provider.kernelOf.get(op.name)!));
      }
      this.#costs.observe([{ key, seconds: own }], theirs * provider.threads);
    }
    const isQuicker = this.#costs.factor(key) < WORTH;
    this.#chosen.set(key, isQuicker);
    return isQuicker;
  }
}

/** Runs kernels on some rows of any cells of a node's shapes, on this thread. */
class Probe {
  readonly #form: ProvidedForm;
  readonly #inputs: readonly DenseMatrix[];
  readonly #rows: number;
  readonly #isSum: boolean;
  readonly #blas: Blas;

  constructor(
    form: ProvidedForm,
    isByRows: readonly boolean[],
    rows: number,
    isSum: boolean,
    blas: Blas,
  ) {
    this.#form = form;
    this.#isSum = isSum;
    this.#rows = rows;
    this.#blas = blas;
    this.#inputs = form.inputs.map((input, i) => {
      const height = isByRows[i] ? rows : input.rows;
      const cells = cellsOf('float32', height * input.cols);
      for (let at = 0; at < cells.length; at++) cells[at] = (at % 31) / 31 - 0.5;
      return dense(height, input.cols, cells);
    });
  }

  /** @units seconds */
  seconds(kernel: Kernel<Cells>): number {
    const { attrs, out } = this.#form;
    const context = { blas: this.#blas, allocate: allocateFresh };
    const start = performance.now();
    if (this.#isSum) {
      const call = { inputs: this.#inputs, attrs, out, parallel: false };
      const reducer = kernel.reducer!(call, context);
      void reducer.add(this.#inputs, { rowOffset: 0, rows: this.#rows });
      void reducer.result();
    } else {
      kernel.run!({ inputs: this.#inputs, attrs, out: { ...out, rows: this.#rows } }, context);
    }
    return (performance.now() - start) / 1000;
  }
}
