/** Nested cross-validation: what the search found on each outer split, and how it did there. */
import { decimalsFor, formatCandidate, formatFixed, formatWithSpread } from '../format.js';
import type { NestedResult } from '../search/nested.js';
import type { SearchResult } from '../search/result.js';
import { html, type Markup } from './markup.js';

/** The section's content. */
export function nestedSection({ metrics, refit }: SearchResult, nested: NestedResult): Markup {
  const { splits, meanScore, stdScore } = nested;
  const decimals = decimalsFor(
    splits.flatMap(({ score, innerScore }) => [score[refit]!, innerScore[refit]!]),
  );
  const number = (value: number | undefined): string => formatFixed(value ?? null, decimals);
  const over = metrics.map(
    (name, m) =>
      html`${m > 0 ? ', ' : null}${name} ${formatWithSpread(meanScore[name]!, stdScore[name]!)}`,
  );
  return html`
<p class="note">The search was done again on the training rows of each outer split, and its best candidate scored on the rows left out, which it has not seen: ${over}.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Outer splits, scrolls"><table><thead><tr><th scope="col">Outer split</th><th scope="col">Best candidate</th><th scope="col">inner ${refit}</th>${metrics.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead><tbody>${splits.map(
    ({ model, params, innerScore, score }, split) =>
      html`<tr><td>${String(split)}</td><td class="t">${params === null ? 'none' : formatCandidate({ ...(model ? { model } : {}), params })}</td><td>${number(innerScore[refit])}</td>${metrics.map((name) => html`<td>${number(score[name])}</td>`)}</tr>`,
  )}</tbody></table></div>`;
}
