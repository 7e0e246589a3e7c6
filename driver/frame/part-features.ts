/**
 * Features as one part of the data needs them: only the categories, bins and missing values that
 * occur there. So what is computed over the part depends on its own content, and stays what it was
 * when other parts bring new categories, a larger range or the first missing value; `columns` says
 * where the part's columns stand among those of what it is a part of. Invariant: encoding the part
 * by its own features and placing the columns, level by level, gives what the features of all data
 * give.
 */

import type { ColumnProfile, SqlText } from '../ir/frame-engine.js';
import { type EncodedFeature, type EncodedPart, featureWidth } from '../operators/encode-block.js';
import { forgetOldest } from '../support/forget-oldest.js';
import { isComplete } from './merge-profiles.js';
import { fileKey } from './partitions.js';
import type { FileGroup } from './parts.js';
import { sortedCategories } from './resolve-feature.js';

/** A part's categories are taken whole up to WIDEST times the shared columns plus SHORT_LIST. */
const WIDEST = 2;
const SHORT_LIST = 8;

/** The profile of an expression over some files, every value listed, or undefined. */
export type ProfileOf = (group: FileGroup, text: SqlText) => ColumnProfile | undefined;

export interface PartOptions {
  /** Categories of a feature that a part may have columns for, if more than by default. */
  readonly most?: number;
  /** How the files are read: tells files of equal content that hold other rows apart. */
  readonly scope?: string;
}

/**
 * What the parts of the data need of the features.
 * @param groups the parts, in order
 */
export function encodedParts(
  features: readonly EncodedFeature[],
  groups: readonly FileGroup[],
  profileOf: ProfileOf,
  { most = 0, scope }: PartOptions = {},
): EncodedPart[] {
  const asked = scope && JSON.stringify([scope, most, features.map(withoutShared)]);
  const needed = neededParts(groups, { features, profileOf, most, asked });
  return placedParts(needed, { features, columns: columnsOf(features) });
}

/** A feature but for what changes from night to night and short lists do not depend on. */
function withoutShared(feature: EncodedFeature): unknown {
  if (feature.kind !== 'onehot' || !feature.other) return feature;
  return { ...feature, categories: feature.categories.length };
}

/** What the columns of one feature stand for, in their order: a category, the number of a bin. */
type Label = string | symbol;
type Labels = readonly Label[];

const OTHER = Symbol('other');
const MISSING = Symbol('missing');

/** What a part has of one feature. */
interface PartFeature {
  /** Undefined when the part has nothing in any of the feature's columns. */
  readonly feature: EncodedFeature | undefined;
  readonly labels: Labels;
}

/** What a group has of the features, whatever stands beside it. */
interface Needed {
  readonly features: readonly PartFeature[];
  /** Its own parts, their columns placed. */
  readonly parts?: readonly EncodedPart[];
}

/** A part with columns that are not placed yet. */
interface NeededPart extends Needed {
  readonly from: number;
  readonly to: number;
  readonly isClosed: boolean;
  /** What parts of it need that are to be placed among the columns of what it is a part of. */
  readonly empty?: readonly NeededPart[];
}

/** Features, and the column of each label of each feature. */
interface Columns {
  readonly features: readonly EncodedFeature[];
  readonly columns: readonly ReadonlyMap<Label, number>[];
}

interface Question {
  readonly features: readonly EncodedFeature[];
  readonly profileOf: ProfileOf;
  readonly most: number;
  /** Names what is asked but for the files; absent where answers are not kept. */
  readonly asked: string | undefined;
}

/** Closed groups whose answers are kept, over all data sets of this process. */
const MAX_KEPT = 4096;
/** What closed groups need, by what was asked and their files. */
const kept = new Map<string, Needed>();

function neededParts(groups: readonly FileGroup[], question: Question): NeededPart[] {
  let from = 0;
  return groups.map((group) => {
    const to = group.files.reduce((end, file) => end + file.rows, from);
    const part = { from, to, isClosed: group.isClosed, ...neededOnce(group, question) };
    from = to;
    return part;
  });
}

function neededOnce(group: FileGroup, question: Question): Needed & Pick<NeededPart, 'empty'> {
  const { asked, features, profileOf, most } = question;
  if (asked === undefined || group.parts === undefined || !group.isClosed) {
    return neededBy(group, question);
  }
  const key = `${asked}\n${group.files.map(fileKey).join('\n')}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  const needed = neededBy(group, question);
  const isAlone = features.every((feature) => {
    if (feature.kind !== 'onehot' || !feature.other) return true;
    const profile = profileOf(group, feature);
    return profile !== undefined && profile.distinct <= ownCategories(feature, most);
  });
  if (isAlone && needed.empty === undefined) {
    kept.set(key, needed);
    forgetOldest(kept, MAX_KEPT);
  }
  return needed;
}

function neededBy(group: FileGroup, question: Question): Needed & Pick<NeededPart, 'empty'> {
  const { features, profileOf, most } = question;
  const parts = group.parts && neededParts(group.parts, question);
  const own = features.map((feature, f) => {
    const profile = profileOf(group, feature);
    if (profile === undefined) return whole(feature);
    // What a part of it does not list has to have a place here.
    const others = parts?.some((part) => part.features[f]!.labels.includes(OTHER)) === true;
    return ofPart(feature, profile, { most, others });
  });
  if (parts === undefined) return { features: own };
  if (own.every(({ labels }) => labels.length === 0)) return { features: own, empty: parts };
  const encoded = own.flatMap(({ feature }) => (feature === undefined ? [] : [feature]));
  const columns = numbered(own.map((one) => one.labels));
  return { features: own, parts: placedParts(parts, { features: encoded, columns }) };
}

function placedParts(parts: readonly NeededPart[], within: Columns): EncodedPart[] {
  const width = within.columns.reduce((sum, columns) => sum + columns.size, 0);
  return parts.map(({ from, to, isClosed, features, parts: inner, empty }) => {
    // A part without any column could not be read; it is encoded as what it is a part of.
    if (features.every(({ labels }) => labels.length === 0)) {
      const own = empty && placedParts(empty, within);
      return { from, to, features: within.features, columns: null, ...(own ? { parts: own } : {}) };
    }
    const columns = features.flatMap(({ labels }, f) => {
      const places = within.columns[f]!;
      // What has no place at all has nothing but zeros.
      const [any] = places.values();
      return labels.map((label) => places.get(label) ?? places.get(OTHER) ?? any!);
    });
    const isSame = columns.length === width && columns.every((column, at) => column === at);
    const own = features.flatMap(({ feature }) => (feature === undefined ? [] : [feature]));
    const place = { from, to, features: own, columns: isSame ? null : columns };
    return inner === undefined ? place : { ...place, parts: inner, isClosed };
  });
}

function columnsOf(features: readonly EncodedFeature[]): Columns['columns'] {
  return numbered(features.map(labelsOf));
}

function numbered(labels: readonly Labels[]): Columns['columns'] {
  let column = 0;
  return labels.map((some) => new Map(some.map((label) => [label, column++])));
}

function labelsOf(feature: EncodedFeature): Labels {
  switch (feature.kind) {
    case 'onehot':
      return [
        ...feature.categories,
        ...(feature.other ? [OTHER] : []),
        ...(feature.missing ? [MISSING] : []),
      ];
    case 'bin':
      return [
        ...feature.edges.slice(1).map((_, bin) => `${bin}`),
        ...(feature.missing ? [MISSING] : []),
      ];
    default:
      return Array.from({ length: featureWidth(feature) }, (_, j) => `${j}`);
  }
}

function whole(feature: EncodedFeature): PartFeature {
  return { feature, labels: labelsOf(feature) };
}

const nothing: PartFeature = { feature: undefined, labels: [] };

interface Widths {
  readonly most: number;
  /** Whether it has a column of unlisted values in any case. */
  readonly others: boolean;
}

function ofPart(feature: EncodedFeature, profile: ColumnProfile, widths: Widths): PartFeature {
  switch (feature.kind) {
    case 'number':
      return profile.missing === 0 ? whole({ ...feature, missing: 'error' }) : whole(feature);
    case 'missing':
      return profile.missing === 0 ? nothing : whole(feature);
    case 'onehot':
      return isComplete(profile) ? oneHotOf(feature, profile, widths) : whole(feature);
    case 'bin':
      return binsOf(feature, profile);
    case 'hash':
      return whole(feature);
    case 'map':
      return isComplete(profile) ? whole(mapOf(feature, profile)) : whole(feature);
  }
}

type OfKind<Kind> = Extract<EncodedFeature, { readonly kind: Kind }>;

/**
 * The categories that occur. Those that share the column of unlisted values have columns of their
 * own too, which are added to the shared one in the end: then the part does not depend on which
 * categories are the most frequent of all data. Of a long list these are the part's most frequent
 * ones, which keeps the part narrow, and the listed ones beside them.
 */
function oneHotOf(
  feature: OfKind<'onehot'>,
  profile: ColumnProfile,
  { most, others }: Widths,
): PartFeature {
  const present = profile.top.map((entry) => entry.value);
  const taken = feature.other ? ownCategories(feature, most) : 0;
  const listed = new Set(taken < present.length ? feature.categories : []);
  const categories = sortedCategories(
    present.filter((category, rank) => rank < taken || listed.has(category)),
  );
  // Missing values share the column of unlisted ones where they have none of their own.
  const missing = profile.missing > 0;
  const ownMissing = missing && feature.missing;
  const isCut = categories.length < present.length;
  const other = feature.other && (others || isCut || (missing && !feature.missing));
  const own = { ...feature, categories, other, missing: ownMissing };
  const labels = labelsOf(own);
  return labels.length === 0 ? nothing : { feature: own, labels };
}

/** Categories that a part may have columns for, whether or not they are listed. */
export function ownCategories({ categories }: OfKind<'onehot'>, most: number): number {
  return Math.max(most, WIDEST * categories.length + SHORT_LIST);
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
  const labels: Label[] = own.slice(0, -1).map((value) => {
    const bin = edges.findLastIndex((edge) => edge <= value);
    return `${Math.max(0, Math.min(bins - 1, bin))}`;
  });
  if (missing) labels.push(MISSING);
  return { feature: { ...feature, edges: own, missing }, labels };
}

function mapOf(feature: OfKind<'map'>, profile: ColumnProfile): EncodedFeature {
  const present = new Set(profile.top.map((entry) => entry.value));
  const kept = [...feature.categories.entries()].filter(([, category]) => present.has(category));
  const categories = kept.map(([, category]) => category);
  return { ...feature, categories, values: kept.map(([i]) => feature.values[i]!) };
}
