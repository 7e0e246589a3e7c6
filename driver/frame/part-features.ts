/**
 * Features as one part of the data needs them: only the categories, bins and missing values that
 * occur there. So what is computed over the part depends on its own content, and stays what it was
 * when other parts bring new categories, a larger range or the first missing value; `columns` says
 * where the part's columns stand among those of all data. Invariant: encoding the part by its own
 * features and placing the columns gives what the features of all data give.
 */

import type { ColumnProfile, FrameFile, SqlText } from '../ir/frame-engine.js';
import { type EncodedFeature, type EncodedPart, featureWidth } from '../operators/encode-block.js';
import { isComplete } from './merge-profiles.js';
import { byCategory } from './resolve-feature.js';

/** A part's categories are taken whole up to WIDEST times the shared columns plus SHORT_LIST. */
const WIDEST = 2;
const SHORT_LIST = 8;

/**
 * What the parts of the data need of the features.
 * @param parts the files of each, in order
 * @param profileOf the profile of an expression over some files, every value listed, or undefined
 */
export function encodedParts(
  features: readonly EncodedFeature[],
  parts: readonly (readonly FrameFile[])[],
  profileOf: (files: readonly FrameFile[], text: SqlText) => ColumnProfile | undefined,
): EncodedPart[] {
  let from = 0;
  return parts.map((files) => {
    const to = files.reduce((end, file) => end + file.rows, from);
    const part = { from, to, ...partFeatures(features, (text) => profileOf(files, text)) };
    from = to;
    return part;
  });
}

function partFeatures(
  features: readonly EncodedFeature[],
  profileOf: (text: SqlText) => ColumnProfile | undefined,
): Pick<EncodedPart, 'features' | 'columns'> {
  const own: EncodedFeature[] = [];
  const columns: number[] = [];
  let offset = 0;
  for (const feature of features) {
    const profile = profileOf(feature);
    const part = profile === undefined ? whole(feature) : ofPart(feature, profile);
    if (part.feature !== undefined) own.push(part.feature);
    for (const column of part.columns) columns.push(offset + column);
    offset += featureWidth(feature);
  }
  // A part without any column could not be read; it is encoded as all data are.
  if (columns.length === 0) return { features, columns: null };
  const isSame = columns.length === offset && columns.every((column, at) => column === at);
  return { features: own, columns: isSame ? null : columns };
}

interface PartFeature {
  /** Undefined when the part has nothing in any of the feature's columns. */
  readonly feature: EncodedFeature | undefined;
  readonly columns: readonly number[];
}

function whole(feature: EncodedFeature): PartFeature {
  return { feature, columns: Array.from({ length: featureWidth(feature) }, (_, j) => j) };
}

const nothing: PartFeature = { feature: undefined, columns: [] };

function ofPart(feature: EncodedFeature, profile: ColumnProfile): PartFeature {
  switch (feature.kind) {
    case 'number':
      return profile.missing === 0 ? whole({ ...feature, missing: 'error' }) : whole(feature);
    case 'missing':
      return profile.missing === 0 ? nothing : whole(feature);
    case 'onehot':
      return isComplete(profile) ? oneHotOf(feature, profile) : whole(feature);
    case 'bin':
      return binsOf(feature, profile);
    case 'map':
      return isComplete(profile) ? mapOf(feature, profile) : whole(feature);
  }
}

type OfKind<Kind> = Extract<EncodedFeature, { readonly kind: Kind }>;

/**
 * The categories that occur. A short list is taken whole, those that share the column of unlisted
 * values too, each with a column of its own that is added to the shared one later: then the part
 * does not depend on which categories are the most frequent of all data. Of a long list only the
 * listed ones are taken, which keeps the part narrow.
 */
function oneHotOf(feature: OfKind<'onehot'>, profile: ColumnProfile): PartFeature {
  const count = feature.categories.length;
  const places = new Map(feature.categories.map((category, column) => [category, column]));
  const present = profile.top.map((entry) => entry.value);
  const isListed = (category: string): boolean => places.has(category);
  const takesAll =
    present.every(isListed) || (feature.other && present.length <= WIDEST * count + SHORT_LIST);
  const categories = (takesAll ? present : present.filter(isListed)).sort(byCategory);
  const columns = categories.map((category) => places.get(category) ?? count);
  // Missing values share the column of unlisted ones where they have none of their own.
  const missing = profile.missing > 0;
  const ownMissing = missing && feature.missing;
  const other =
    feature.other && (categories.length < present.length || (missing && !feature.missing));
  if (other) columns.push(count);
  if (ownMissing) columns.push(count + (feature.other ? 1 : 0));
  if (columns.length === 0) return nothing;
  return { feature: { ...feature, categories, other, missing: ownMissing }, columns };
}

/** Bins within the part's own range; its first and last edge are its least and greatest value. */
function binsOf(feature: OfKind<'bin'>, profile: ColumnProfile): PartFeature {
  const { edges } = feature;
  const { min, max } = profile;
  const bins = edges.length - 1;
  const missing = feature.missing && profile.missing > 0;
  if (min === null || max === null) {
    return missing ? whole(feature) : nothing;
  }
  const inner = edges.slice(1, -1).filter((edge) => edge > min && edge <= max);
  const own = [min, ...inner, max];
  // As `encodeBlock` finds the bin of a value.
  const columns = own.slice(0, -1).map((value) => {
    const bin = edges.findLastIndex((edge) => edge <= value);
    return Math.max(0, Math.min(bins - 1, bin));
  });
  if (missing) columns.push(bins);
  return { feature: { ...feature, edges: own, missing }, columns };
}

function mapOf(feature: OfKind<'map'>, profile: ColumnProfile): PartFeature {
  const present = new Set(profile.top.map((entry) => entry.value));
  const kept = [...feature.categories.entries()].filter(([, category]) => present.has(category));
  const categories = kept.map(([, category]) => category);
  return whole({ ...feature, categories, values: kept.map(([i]) => feature.values[i]!) });
}
