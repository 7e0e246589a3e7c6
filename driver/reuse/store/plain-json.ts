/**
 * Plain data as JSON text and back. Invariant: what comes back is equal to what went in, the
 * numbers JSON can't write (NaN, the infinities, -0) included: they travel as `{"$": "NaN"}`, and
 * an object with a field `$` as a list of pairs.
 */

/** Plain data: profiles, vocabularies, outputs of reusable functions that are not matrices. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

type Fields = { readonly [key: string]: Json };

/** @throws TypeError unless it is plain data, RangeError when too deep or long for one text */
export function jsonText(json: Json): string {
  return JSON.stringify(toWire(json));
}

/** The value of a text made by `jsonText`. @throws SyntaxError */
export function parseJson(text: string): Json {
  const wire = JSON.parse(text) as Json;
  return text.includes('"$"') ? fromWire(wire) : wire;
}

function toWire(json: Json): Json {
  if (json === null || typeof json === 'string' || typeof json === 'boolean') return json;
  if (typeof json === 'number') {
    if (Object.is(json, -0)) return { $: '-0' };
    return Number.isFinite(json) ? json : { $: String(json) };
  }
  if (Array.isArray(json)) return json.map(toWire);
  if (typeof json !== 'object') {
    throw new TypeError(`store: expected plain data, got ${typeof json}`);
  }
  const pairs = Object.entries(json as Fields).map(([name, field]) => [name, toWire(field)]);
  return '$' in json ? { $: pairs as Json } : (Object.fromEntries(pairs) as Json);
}

function fromWire(wire: Json): Json {
  if (wire === null || typeof wire !== 'object') return wire;
  if (Array.isArray(wire)) return wire.map(fromWire);
  const { $ } = wire as Fields;
  if (typeof $ === 'string') return Number($);
  const pairs = Array.isArray($) ? ($ as [string, Json][]) : Object.entries(wire as Fields);
  return Object.fromEntries(pairs.map(([name, field]) => [name, fromWire(field)]));
}
