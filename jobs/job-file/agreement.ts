/** What `bench -- estimators` measured: the largest difference from scikit-learn by estimator. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Figures {
  readonly figures: readonly { readonly name: string; readonly value: number }[];
}

/** @param root of the checkout; nothing is measured where it holds no results */
export function measuredAgreement(root: string): Map<string, number> {
  const path = join(root, 'bench', 'results', 'estimators.json');
  const worst = new Map<string, number>();
  if (!existsSync(path)) return worst;
  const { figures } = JSON.parse(readFileSync(path, 'utf8')) as Figures;
  for (const { name, value } of figures) {
    const [, estimator] = /^estimators\.([\w-]+)\./.exec(name) ?? [];
    if (estimator !== undefined) worst.set(estimator, Math.max(value, worst.get(estimator) ?? 0));
  }
  return worst;
}
