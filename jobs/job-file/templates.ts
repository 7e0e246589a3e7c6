/**
 * `{{ name }}` in the values of a document: plain text put in place of plain text, before the
 * document is checked. Nothing is evaluated and nothing is quoted. Invariants: a value that is one
 * template whole keeps the type of what it names; a name that is not known is a problem, never an
 * empty text; what comes out is bounded.
 */
import { closestText } from '../../driver/support/closest.js';
import { env } from '../../driver/support/env.js';
import { isSecretSetting } from '../../spark-bridge/channel/redact.js';
import type { Problem } from './check-job.js';
import { isMap, valueAt } from './plain-data.js';
import { type KeyPath, MAX_FILE_BYTES } from './yaml-source.js';

export type Variables = Readonly<Record<string, unknown>>;

export interface TemplateOptions {
  /** Values by name. A dotted name looks into maps. */
  readonly names: Variables;
  /** Of `names`, those whose values are templates themselves. */
  readonly written?: ReadonlySet<string>;
  /** First words of names that are bound later: their templates stay as they are. */
  readonly later?: readonly string[];
}

export interface Filled {
  readonly value: unknown;
  readonly problems: readonly Problem[];
  /** First words of the names that were used. */
  readonly used: ReadonlySet<string>;
}

/** A name with dots, or a text in quotes that stands for itself: `{{ '{{' }}` is two braces. */
const TEMPLATE = /\{\{\s*(?:([\w.-]+)|'([^']*)'|"([^"]*)")\s*\}\}/g;
const WHOLE = new RegExp(`^${TEMPLATE.source}$`);
const LEFT = /\{\{.{0,40}/;

/** What the scheduler and `--date` hand in. */
const OF_A_DATE: readonly string[] = ['date', 'time', 'month', 'year', 'previous', 'next'];

/** Puts values in place of every template of a document. Keys are left alone. */
export function fillTemplates(
  document: unknown,
  options: TemplateOptions,
  at: KeyPath = [],
): Filled {
  const filling = new Filling(options);
  const value = filling.fill(document, at);
  return { value, problems: filling.problems, used: new Set(filling.values.keys()) };
}

class Filling {
  readonly problems: Problem[] = [];
  /** By first word, the value with its own templates filled. */
  readonly values = new Map<string, unknown>();
  readonly #options: TemplateOptions;
  /** Variables that are being filled, outermost first. */
  readonly #open: string[] = [];
  #characters = 0;

  constructor(options: TemplateOptions) {
    this.#options = options;
  }

  fill(value: unknown, path: KeyPath): unknown {
    if (typeof value === 'string') return value.includes('{{') ? this.#text(value, path) : value;
    if (Array.isArray(value)) return value.map((item, i) => this.fill(item, [...path, i]));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, this.fill(item, [...path, key])]),
    );
  }

  #text(text: string, path: KeyPath): unknown {
    const name = WHOLE.exec(text)?.[1];
    if (name !== undefined) return this.#isLater(name) ? text : this.#named(name, path);
    const left = LEFT.exec(text.replace(TEMPLATE, ' '))?.[0];
    if (left !== undefined) {
      this.#fail(
        path,
        `expected a template such as {{ name }}, got ${JSON.stringify(left)}; write {{ '{{' }} for two braces`,
      );
      return text;
    }
    return text.replace(TEMPLATE, (template, inner?: string, single?: string, double?: string) => {
      if (inner === undefined) return single ?? double ?? '';
      if (this.#isLater(inner)) return template;
      const value = this.#named(inner, path);
      if (typeof value === 'object') {
        const got = value === null ? 'nothing' : Array.isArray(value) ? 'a list' : 'a map';
        this.#fail(path, `expected text or a number for {{ ${inner} }} inside a text, got ${got}`);
      }
      return String(value);
    });
  }

  #isLater(name: string): boolean {
    return this.#options.later?.includes(rootOf(name)) ?? false;
  }

  /** The value of a name; an empty text beside a problem. */
  #named(name: string, path: KeyPath): unknown {
    const root = rootOf(name);
    let value: unknown;
    if (root === 'env') value = this.#environment(name.slice(4), path);
    else if (!Object.hasOwn(this.#options.names, root)) return this.#unknown(name, path);
    else {
      value = valueAt(this.#variable(root, path), name.split('.').slice(1));
      if (value === undefined) return this.#unknown(name, path);
    }
    this.#characters += JSON.stringify(value)?.length ?? 0;
    if (this.#characters <= MAX_FILE_BYTES) return value;
    this.#fail(path, `expected templates to give at most ${MAX_FILE_BYTES} characters, got more`);
    return '';
  }

  #variable(root: string, path: KeyPath): unknown {
    if (this.values.has(root)) return this.values.get(root);
    const given = this.#options.names[root];
    if (this.#open.includes(root)) {
      const circle = [...this.#open.slice(this.#open.indexOf(root)), root].join(' -> ');
      this.#fail(path, `expected variables that end in a value, got a circle: ${circle}`);
      return '';
    }
    this.#open.push(root);
    const isWritten = this.#options.written?.has(root) ?? false;
    const value = isWritten ? this.fill(given, ['variables', root]) : given;
    this.#open.pop();
    this.values.set(root, value);
    return value;
  }

  /** As text; what prints as the number or truth value it is, as that. */
  #environment(name: string, path: KeyPath): unknown {
    if (isSecretSetting(name)) {
      return this.#fail(
        path,
        `expected no secret in a template, as its value would stand in run folders, got {{ env.${name} }}; secret settings take {env: ${name}}`,
      );
    }
    const text = env.variable(name);
    if (text === undefined) {
      return this.#fail(path, `expected the environment variable ${name}, got none; set it`);
    }
    if (text === 'true' || text === 'false') return text === 'true';
    return String(Number(text)) === text && Number.isFinite(Number(text)) ? Number(text) : text;
  }

  #unknown(name: string, path: KeyPath): string {
    const { names, later = [] } = this.#options;
    const remedy = OF_A_DATE.includes(rootOf(name))
      ? 'give a date with --date 2013-01-31, or a default in `variables`'
      : `known names: ${closestText(name, [...namesIn(names), ...later, 'env.NAME'])}`;
    return this.#fail(path, `expected a known name in {{ ${name} }}, got ${name}; ${remedy}`);
  }

  #fail(path: KeyPath, message: string): '' {
    this.problems.push({ path, message });
    return '';
  }
}

const rootOf = (name: string): string => name.split('.')[0]!;

/** The names that templates may have, dotted ones too. */
function namesIn(names: Variables, before = ''): string[] {
  return Object.entries(names).flatMap(([name, value]) => {
    return isMap(value) ? namesIn(value, `${before}${name}.`) : [`${before}${name}`];
  });
}
