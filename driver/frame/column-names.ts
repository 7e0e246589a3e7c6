/**
 * Names of encoded columns, as results and models show them: `distance`, `origin=ATL`,
 * `hour=[5,9)`, of hashed text `note=#17`, and our own words for the rest, `origin=(other)` and
 * `origin=(missing)`. Invariant: no two columns of a job have one name, and a name depends on the
 * job and the category alone, never on which other categories there are. What could be read as
 * another column is written in JSON's quotes: a category that is one of our words, or a feature
 * whose name begins as another's columns do.
 */
import type { EncodedFeature } from '../operators/encode-block.js';

const OTHER = '(other)';
const MISSING = '(missing)';

/** Beginnings that the columns of these features have besides their own names. */
export function columnPrefixes(
  features: readonly { readonly name: string; readonly encode: string }[],
): readonly string[] {
  return features.filter(({ encode }) => encode !== 'number').map(({ name }) => `${name}=`);
}

/** Names of a feature's output columns. @param prefixes of all features of the job */
export function featureColumns(
  feature: EncodedFeature,
  prefixes: readonly string[] = [],
): string[] {
  const { name: given } = feature;
  const name =
    given.startsWith('"') || prefixes.some((prefix) => given.startsWith(prefix))
      ? JSON.stringify(given)
      : given;
  const missing = `${name}=${MISSING}`;
  switch (feature.kind) {
    case 'onehot':
      return [
        ...feature.categories.map((category) => `${name}=${categoryText(category)}`),
        ...(feature.other ? [`${name}=${OTHER}`] : []),
        ...(feature.missing ? [missing] : []),
      ];
    case 'bin':
      return [
        ...feature.edges.slice(0, -1).map((edge, i) => `${name}=[${edge},${feature.edges[i + 1]})`),
        ...(feature.missing ? [missing] : []),
      ];
    case 'missing':
      return [missing];
    case 'hash':
      return Array.from({ length: feature.columns }, (_, column) => `${name}=#${column}`);
    default:
      return [name];
  }
}

function categoryText(category: string): string {
  const isOurs = category === OTHER || category === MISSING;
  return isOurs || category.startsWith('"') ? JSON.stringify(category) : category;
}
