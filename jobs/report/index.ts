/** The report of a run: one HTML file. What other folders may use of this one. */
export {
  type LineageGroup,
  type LineageSummary,
  summarizeLineage,
} from './lineage-summary.js';
export { renderReport } from './page.js';
export { renderPipelineReport } from './pipeline-page.js';
