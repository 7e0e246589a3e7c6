/** What a whole plan is expected to take when nothing overlaps: for `reprise plan`. */

import type { CostModel } from '../cost/cost-model.js';
import { denseBytes } from '../ir/expr.js';
import { isTarget, type Plan } from './plan.js';

/** Work of all nodes, each backend's start per pass, and transfers to the host. @units seconds */
export function planSeconds(plan: Plan, costs: CostModel): number {
  let seconds = 0;
  const passes = new Set<string>();
  for (const node of plan.nodes) {
    const { backend, expr, stays } = node;
    seconds += costs.work(backend, expr).seconds;
    if (!isTarget(node)) continue;
    if (stays.at === 'host') seconds += costs.download(backend, denseBytes(expr)).seconds;
    const pass = `${backend.name} ${node.wave}`;
    if (passes.has(pass)) continue;
    passes.add(pass);
    seconds += costs.start(backend).seconds;
  }
  return seconds;
}
