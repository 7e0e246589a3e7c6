/**
 * A feature expression as a typed tree: what DuckDB's binder makes of it, every implicit cast
 * written out, every macro and overload resolved. Invariant: a tree holds nothing but constants,
 * columns, casts and calls; operators and CASE are calls too. Decoded from `json_serialize_plan`,
 * whose format is DuckDB's and is known nowhere else.
 */
import { InternalError } from '../../errors.js';
import { parseDuckDbJson } from './duckdb-json.js';

/** A type by DuckDB's name; `DECIMAL` has width and scale, `LIST` what it lists. */
export interface SqlType {
  readonly id: string;
  readonly width: number;
  readonly scale: number;
  readonly item?: SqlType;
}

export type SqlNode = SqlConstant | SqlColumn | SqlCast | SqlCall;

export interface SqlConstant {
  readonly kind: 'constant';
  readonly type: SqlType;
  /** Numbers as digits; decimals without the point. Null for NULL, and for a bound left out. */
  readonly value: string | boolean | null;
}

export interface SqlColumn {
  readonly kind: 'column';
  readonly type: SqlType;
  readonly name: string;
  /** Its place in what the expression is bound over. */
  readonly index?: number;
}

export interface SqlCast {
  readonly kind: 'cast';
  readonly type: SqlType;
  readonly child: SqlNode;
  /** NULL where the value does not fit, instead of an error. */
  readonly isTry: boolean;
}

export interface SqlCall {
  readonly kind: 'call';
  readonly type: SqlType;
  /** Lower case. `case` has its conditions and values in turn, then what holds otherwise. */
  readonly name: string;
  readonly args: readonly SqlNode[];
}

/** Names of what the binder has classes for. */
const OPERATORS: Readonly<Record<string, string>> = {
  COMPARE_EQUAL: '=',
  COMPARE_NOTEQUAL: '<>',
  COMPARE_LESSTHAN: '<',
  COMPARE_GREATERTHAN: '>',
  COMPARE_LESSTHANOREQUALTO: '<=',
  COMPARE_GREATERTHANOREQUALTO: '>=',
  COMPARE_DISTINCT_FROM: 'is distinct from',
  COMPARE_NOT_DISTINCT_FROM: 'is not distinct from',
  COMPARE_IN: 'in',
  COMPARE_NOT_IN: 'not in',
  COMPARE_BETWEEN: 'between',
  CONJUNCTION_AND: 'and',
  CONJUNCTION_OR: 'or',
  OPERATOR_NOT: 'not',
  OPERATOR_IS_NULL: 'is null',
  OPERATOR_IS_NOT_NULL: 'is not null',
  OPERATOR_COALESCE: 'coalesce',
};

interface WireType {
  readonly id: string;
  readonly type_info?: {
    readonly width?: number;
    readonly scale?: number;
    readonly child_type?: WireType;
  } | null;
}

interface WireNode {
  readonly expression_class: string;
  readonly type: string;
  readonly alias?: string;
  readonly name?: string;
  readonly return_type?: WireType;
  readonly children?: readonly WireNode[];
  readonly child?: WireNode;
  readonly try_cast?: boolean;
  readonly left?: WireNode;
  readonly right?: WireNode;
  readonly input?: WireNode;
  readonly lower?: WireNode;
  readonly upper?: WireNode;
  readonly case_checks?: readonly { readonly when_expr: WireNode; readonly then_expr: WireNode }[];
  readonly else_expr?: WireNode;
  readonly index?: number;
  readonly filter?: WireNode | null;
  readonly value?: {
    readonly type: WireType;
    readonly is_null: boolean;
    readonly value?: unknown;
  };
}

interface WirePlan {
  readonly type?: string;
  readonly expressions?: readonly WireNode[];
  readonly children?: readonly WirePlan[];
}

interface WirePlans {
  readonly error: boolean;
  readonly error_message?: string;
  readonly plans?: readonly WirePlan[];
}

/** The trees of a bound SELECT, or why DuckDB refuses it. */
export function decodeBound(serialized: string): readonly SqlNode[] | { readonly refusal: string } {
  const parsed = parseDuckDbJson(serialized) as WirePlans;
  if (parsed.error) return { refusal: parsed.error_message ?? 'something else' };
  const [plan] = parsed.plans ?? [];
  const [below] = plan?.children ?? [];
  const aggregates =
    below?.type === 'LOGICAL_AGGREGATE_AND_GROUP_BY' ? (below.expressions ?? []) : [];
  const found = aggregates.map(aggregate);
  return (plan?.expressions ?? []).map((node) =>
    found.length === 0 ? decode(node) : withAggregates(decode(node), found),
  );
}

/** Rows that a filter leaves out are NULL to the aggregate. */
function aggregate(node: WireNode): SqlCall {
  const { name = '', filter, children = [] } = node;
  const type = typeOf(node.return_type);
  const own = name.toLowerCase();
  if (!filter) return call(own, children, type);
  const condition = decode(filter);
  const args = children.length > 0 ? children.map(decode) : [ONE];
  const kept = args.map((arg): SqlCall => {
    const none: SqlConstant = { kind: 'constant', type: arg.type, value: null };
    return { kind: 'call', type: arg.type, name: 'case', args: [condition, arg, none] };
  });
  return { kind: 'call', type, name: own === 'count_star' ? 'count' : own, args: kept };
}

function withAggregates(node: SqlNode, found: readonly SqlCall[]): SqlNode {
  if (node.kind === 'column') return found[node.index ?? -1] ?? node;
  if (node.kind === 'cast') return { ...node, child: withAggregates(node.child, found) };
  if (node.kind === 'constant') return node;
  return { ...node, args: node.args.map((arg) => withAggregates(arg, found)) };
}

function decode(node: WireNode): SqlNode {
  switch (node.expression_class) {
    case 'BOUND_CONSTANT':
      return constant(node);
    case 'BOUND_REF':
    case 'BOUND_COLUMN_REF':
      return {
        kind: 'column',
        type: typeOf(node.return_type),
        name: node.alias ?? '',
        ...(node.index === undefined ? {} : { index: node.index }),
      };
    case 'BOUND_CAST': {
      const child = decode(node.child!);
      const isTry = node.try_cast === true;
      const type = typeOf(node.return_type);
      // The binder casts literals to the type they have already.
      if (sameType(type, child.type)) return child;
      return { kind: 'cast', type, child, isTry };
    }
    case 'BOUND_CASE': {
      const checks = node.case_checks ?? [];
      const parts = checks.flatMap(({ when_expr, then_expr }) => [when_expr, then_expr]);
      return call('case', [...parts, node.else_expr!], typeOf(node.return_type));
    }
    case 'BOUND_COMPARISON':
    case 'BOUND_CONJUNCTION':
    case 'BOUND_OPERATOR': {
      const name = OPERATORS[node.type] ?? node.type.toLowerCase();
      const args = node.children ?? [node.left!, node.right!];
      return call(name, args, node.return_type ? typeOf(node.return_type) : BOOLEAN);
    }
    case 'BOUND_BETWEEN':
      return call('between', [node.input!, node.lower!, node.upper!], BOOLEAN);
    case 'BOUND_FUNCTION':
      return call((node.name ?? '').toLowerCase(), node.children ?? [], typeOf(node.return_type));
    default:
      return call(node.expression_class.toLowerCase(), [], typeOf(node.return_type));
  }
}

export const BOOLEAN: SqlType = { id: 'BOOLEAN', width: 0, scale: 0 };
const ONE: SqlConstant = {
  kind: 'constant',
  type: { id: 'INTEGER', width: 0, scale: 0 },
  value: '1',
};

function call(name: string, args: readonly WireNode[], type: SqlType): SqlCall {
  return { kind: 'call', type, name, args: args.map(decode) };
}

function constant({ value }: WireNode): SqlConstant {
  if (value === undefined) throw new InternalError('sql: expected a constant with a value');
  const type = typeOf(value.type);
  const isNone = value.is_null || type.id === 'LIST' || value.value === undefined;
  if (isNone && !(type.id === 'VARCHAR' && !value.is_null)) {
    return { kind: 'constant', type, value: null };
  }
  const { value: held } = value;
  if (typeof held === 'boolean') return { kind: 'constant', type, value: held };
  if (typeof held === 'object' && held !== null) {
    const { upper, lower } = held as { readonly upper: string; readonly lower: string };
    return { kind: 'constant', type, value: String((BigInt(upper) << 64n) + BigInt(lower)) };
  }
  return { kind: 'constant', type, value: String(held ?? '') };
}

function typeOf(type: WireType | undefined): SqlType {
  const info = type?.type_info;
  return {
    id: type?.id ?? 'UNKNOWN',
    width: info?.width ?? 0,
    scale: info?.scale ?? 0,
    ...(info?.child_type ? { item: typeOf(info.child_type) } : {}),
  };
}

export function sameType(a: SqlType, b: SqlType): boolean {
  return a.id === b.id && a.width === b.width && a.scale === b.scale && a.id !== 'LIST';
}

/** A type as SQL and messages name it. */
export function typeName(type: SqlType): string {
  if (type.id === 'DECIMAL') return `DECIMAL(${type.width},${type.scale})`;
  if (type.id === 'LIST' && type.item) return `${typeName(type.item)}[]`;
  return type.id;
}
