/**
 * Turns what zod found into problems for people: one line a problem, `expected .., got ..`, with
 * the closest known key or word where one was mistyped. The only place that knows zod's issue
 * codes.
 */
import * as z from 'zod';
import { closest } from '../../driver/support/closest.js';
import type { Problem } from './check-job.js';
import { namedEstimator } from './model-schema.js';
import { isMap, valueAt } from './plain-data.js';
import { schemaOf } from './schema.js';
import type { KeyPath } from './yaml-source.js';

type Issue = z.core.$ZodIssue;

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  tuple: 'a list',
};

/** The problems behind zod's issues, in the order of the file's keys. @param schema of the document */
export function problemsOf(
  issues: readonly Issue[],
  document: unknown,
  schema: z.ZodType = schemaOf(document),
): Problem[] {
  return issues.flatMap((issue) => problemsOfIssue(issue, issue.path as KeyPath, document, schema));
}

function problemsOfIssue(
  issue: Issue,
  path: KeyPath,
  document: unknown,
  schema: z.ZodType,
): Problem[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: unknownKey(key, path, document, schema),
      atKey: true,
    }));
  if (issue.code === 'invalid_key') {
    const [inner] = issue.issues;
    const name = String(path.at(-1));
    const expected = inner === undefined ? 'another name' : expectation(inner, name);
    return [{ path, message: `expected ${expected}, got ${show(name)}`, atKey: true }];
  }
  if (issue.code === 'invalid_union') {
    const branches = issue.errors as Issue[][];
    const near = branches.filter((branch) => !branch.some(isWrongKind));
    // Of the alternatives with the right kind of value, the one with the least problems.
    const counts = near.map((branch) => branch.reduce((sum, one) => sum + problemCount(one), 0));
    const least = Math.min(...counts);
    const nearest = sharedOf(near.filter((_, i) => counts[i] === least));
    const isClear = near.length === 1 || isMap(valueAt(document, path));
    if (nearest !== undefined && isClear)
      return nearest.flatMap((inner) =>
        problemsOfIssue(inner, [...path, ...(inner.path as KeyPath)], document, schema),
      );
  }
  const value = valueAt(document, path);
  return [{ path, message: `expected ${expectation(issue, value)}, got ${show(value)}` }];
}

function isWrongKind(issue: Issue): boolean {
  if (issue.path.length > 0) return false;
  if (issue.code === 'invalid_union')
    return (issue.errors as Issue[][]).every((branch) => branch.some(isWrongKind));
  return issue.code === 'invalid_type' || issue.code === 'invalid_value';
}

/** What several alternatives say alike; where that is nothing, what the last one says. */
function sharedOf(branches: readonly Issue[][]): Issue[] | undefined {
  const text = (issue: Issue): string => JSON.stringify(issue);
  const last = branches.at(-1);
  const shared = last?.filter((one) =>
    branches.every((branch) => branch.some((other) => text(other) === text(one))),
  );
  return shared?.length ? shared : last;
}

function problemCount(issue: Issue): number {
  return issue.code === 'unrecognized_keys' ? issue.keys.length : 1;
}

/** What a value should have been. */
export function expectation(issue: Issue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return TYPE_WORDS[issue.expected] ?? issue.expected;
    case 'invalid_value': {
      const words = issue.values.map(String);
      const meant = typeof value === 'string' ? closest(value, words) : undefined;
      const list = words.length === 1 ? words[0] : `one of ${words.join(', ')}`;
      return meant && words.length > 1 ? `${list} (did you mean ${meant}?)` : `${list}`;
    }
    case 'too_small':
      return bound(
        issue.origin,
        issue.inclusive === false ? 'more than' : 'at least',
        issue.minimum,
      );
    case 'too_big':
      return bound(
        issue.origin,
        issue.inclusive === false ? 'less than' : 'at most',
        issue.maximum,
      );
    case 'invalid_union': {
      const parts = (issue.errors as Issue[][]).map((branch) => expectation(branch[0]!, value));
      return [...new Set(parts)].join(' or ');
    }
    default:
      return issue.message;
  }
}

function bound(origin: string, relation: string, limit: number | bigint): string {
  if (origin === 'array') return `${relation} ${limit} ${limit === 1 ? 'item' : 'items'}`;
  if (origin === 'string') return `text of ${relation} ${limit} characters`;
  return `${origin === 'int' ? 'a whole number' : 'a number'} of ${relation} ${limit}`;
}

function unknownKey(key: string, path: KeyPath, document: unknown, schema: z.ZodType): string {
  const estimator = namedEstimator(document);
  if (estimator !== undefined && path.join('.') === 'data' && key === 'target') {
    return `expected no \`target\`, as ${estimator.name} does ${estimator.task} and learns from features alone, got one; remove it, and list \`features\` if that column is none of them`;
  }
  const known = knownKeys(path, schema);
  const meant = closest(key, known);
  const list = `known keys: ${known.join(', ')}`;
  // Of an estimator's parameters all are named: what is missing may be another estimator's.
  const isParameter = path[0] === 'model' || path[0] === 'search';
  const remedy = meant ? `did you mean \`${meant}\`?${isParameter ? ` ${list}` : ''}` : list;
  return `expected a known key, got \`${key}\`; ${remedy}`;
}

interface JsonSchema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly prefixItems?: readonly JsonSchema[];
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
}

/** The keys a mapping at this path may have. */
export function knownKeys(path: KeyPath, schema: z.ZodType): string[] {
  const root = z.toJSONSchema(schema, { io: 'input' }) as JsonSchema;
  let level: JsonSchema[] = [root];
  const open = (schema: JsonSchema): JsonSchema[] => {
    const target = schema.$ref ? root.$defs?.[schema.$ref.replace('#/$defs/', '')] : schema;
    if (!target) return [];
    return target.anyOf ? target.anyOf.flatMap(open) : [target];
  };
  for (const part of path) {
    level = level.flatMap(open).flatMap((schema) => {
      const child =
        typeof part === 'number'
          ? (schema.prefixItems?.[part] ?? schema.items)
          : schema.properties?.[part];
      // Of names that users choose.
      const { additionalProperties: other } = schema;
      const found = child ?? (typeof part === 'string' && typeof other === 'object' ? other : null);
      return found ? [found] : [];
    });
  }
  return [
    ...new Set(level.flatMap(open).flatMap((schema) => Object.keys(schema.properties ?? {}))),
  ];
}

/** A value as the user would write it, cut short. */
function show(value: unknown): string {
  if (value === undefined) return 'nothing (the key is missing)';
  if (value === null) return 'an empty value';
  if (typeof value === 'number') return String(value);
  if (value instanceof Date) return value.toISOString();
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
