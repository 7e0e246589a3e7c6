/**
 * Search with cross-validation for any estimators. However many candidates and splits there are,
 * those fitted from moments or sums by class share the one pass that makes these, those that read
 * rows train together, wave by wave (see `waves.ts`), and all are scored in one pass, or none where
 * losses follow from moments (see `scoring/losses.ts`). Refitting from moments or sums needs no pass.
 */
import { matrix, type Run } from '../../driver/index.js';
import type { LinearModel } from '../estimators/model.js';
import { openSteps } from '../prepare/chosen-steps.js';
import type { Candidate } from './candidates.js';
import { endingsOf, endingWarnings } from './endings.js';
import { findEnsemble } from './ensemble.js';
import { fitEnsemble } from './fit-ensemble.js';
import { fitBest, type SearchFits } from './fits.js';
import { calledBy, ownParts, type SearchGroup, withTrials } from './groups.js';
import { keptModel } from './kept-model.js';
import { nestedScores, type RawTrial, sliceTrial } from './nested.js';
import { prepare, type Search, type SearchOptions } from './prepare.js';
import type { EnsembleResult, SearchResult, TrialResult } from './result.js';
import { canStop, type TrialDone } from './rung-state.js';
import { type RungsDone, runRungs } from './rungs.js';
import { type ClassReport, classReport } from './scoring/class-curves.js';
import { Notes } from './scoring/notes.js';
import { heldOutOfOne } from './scoring/scores.js';
import { isAligned, splitCount, testsOf } from './splits/partition.js';
import { tabulate } from './table.js';
import { findBest, type ScoreTable, scoreWarnings } from './unscored.js';
import { restoredCells, restoredTrial } from './wave-result.js';

/**
 * Scores every candidate on every fold, as far as the strategy goes, and refits the best.
 * @shape X: [n, d], y: [n, 1]
 * @throws ConfigError for folds, metrics or parameters out of range; DataError for an empty fold;
 *   SingularError when `errorScore` is `raise` and a system has no unique solution
 * @source scikit-learn `GridSearchCV`: same folds, scores, ranks and refit
 */
export async function runSearch(session: Run, options: SearchOptions): Promise<SearchResult> {
  for (const { prepare: steps = [] } of options.models)
    await openSteps(steps, { signal: options.signal });
  const search = prepare(session, options);
  const names = search.scoring.map(({ name }) => name);
  const metric = options.metric ?? names[0]!;
  const done = await runRungs(session, search, options, metric);
  const allTrials = done.trials.map(({ kept }) => restoredTrial(kept));
  const table = tableOf(search, done, allTrials);
  const scored = scoredTable(search, done, table, metric);
  const isFinal = finalTrials(done);
  const bestIndex = findBest(scored, isFinal);
  const best = bestIndex === null ? undefined : done.trials[bestIndex]!;
  const able = done.trials.flatMap((trial, t) => (isFinal[t] ? [{ trial, row: table[t]! }] : []));
  const fitted = await session.trial(() =>
    finish(session, search, { ...options, metric }, done, best, able),
  );
  const stopped = done.partial ?? fitted.stopped;
  const { splits, folds } = search;
  const { group } = (best ?? done.trials[0]!).open;
  const ownFolds = splitCount(splits);
  return {
    ...(search.namesModels ? { models: options.models.map(({ name }) => name) } : {}),
    paramNames: [...new Set(table.flatMap(({ params }) => Object.keys(params)))],
    metrics: names,
    refit: metric,
    folds: ownFolds,
    ...testsOfOwn(group),
    rows: options.X.rows,
    columns: group.columns.length,
    trials: table,
    ...(stopped
      ? { partial: { of: done.of, candidates: done.trials.map((one) => one.number), why: stopped } }
      : {}),
    bestIndex,
    ...(typeof fitted.ensemble === 'object' ? { ensemble: fitted.ensemble } : {}),
    model: fitted.model,
    ...(typeof fitted.report === 'object' ? { classReport: fitted.report } : {}),
    ...(options.nested
      ? { nested: nestedScores(allTrials, options.nested, ownFolds, { scoring: names, metric }) }
      : {}),
    warnings: [
      ...new Set(done.trials.flatMap(({ open }) => open.warnings)),
      ...done.notes,
      ...warningsOfFits(search, done, fitted, folds),
      ...scoreWarnings(scored, bestIndex),
      ...(typeof fitted.report === 'string' ? [fitted.report] : []),
      ...(typeof fitted.ensemble === 'string' ? [fitted.ensemble] : []),
    ],
  };
}

/** A row a trial, its own splits only. */
function tableOf(
  { scoring, splits }: Search,
  { trials }: RungsDone,
  all: readonly RawTrial[],
): TrialResult[] {
  const own = splitCount(splits);
  const isOneRung = trials.every(({ rung }) => rung === 0);
  const rows = trials.map(({ rung, bracket, budget }, t) => ({
    ...sliceTrial(all[t]!, 0, own),
    ...(isOneRung && budget === undefined ? {} : { rung }),
    ...(bracket === undefined ? {} : { bracket }),
    ...(budget ? { budget } : {}),
  }));
  return tabulate(rows, scoring.map(({ name }) => name)); // biome-ignore format: a call
}

/** Whether each trial may be the best: of the last rung, where each had most, or as is said. */
function finalTrials({ trials, finals }: RungsDone): boolean[] {
  const last = trials.reduce((latest, { rung }) => Math.max(latest, rung), 0);
  return trials.map(({ rung }) => finals?.includes(rung) ?? rung === last);
}

function scoredTable(
  { scoring, classes, splits }: Search,
  { trials: done, results }: RungsDone,
  trials: readonly TrialResult[],
  metric: string,
): ScoreTable {
  const own = done[0]!.open.scatter.flat().slice(0, splitCount(splits));
  const kept = results.map(({ result }) => result);
  const counted = kept.find(({ classRows }) => (classRows[0]?.length ?? 0) > 0) ?? kept[0]!;
  const foldRows = own.map(({ count }) => count);
  return { trials, scoring, metric, foldRows, classes, foldClasses: counted.classRows };
}

/** Groups that each split tests, where that is not a fold each. */
function testsOfOwn(group: SearchGroup): Pick<SearchResult, 'tests'> {
  const partitions = ownParts(group).map(({ partition }) => partition);
  if (partitions.length === 1 && isAligned(partitions[0]!)) return {};
  return { tests: testsOf(partitions) };
}

/** What is known of the best once it is fitted on all rows. */
interface FittedBest {
  readonly report: ClassReport | string | undefined;
  /** Or why there is none. */
  readonly ensemble?: EnsembleResult | string;
  readonly model: LinearModel | null;
  /** What its fit on all rows says, and whether it says how it ended. */
  readonly said: readonly string[];
  readonly ended: number;
  readonly stopped?: string;
}

async function finish(
  session: Run,
  search: Search,
  options: SearchOptions,
  done: RungsDone,
  best: TrialDone | undefined,
  able: Parameters<typeof findEnsemble>[1],
): Promise<FittedBest> {
  const nothing: FittedBest = { report: undefined, model: null, said: [], ended: 0 };
  if (best === undefined || done.partial !== undefined) return nothing;
  let report: FittedBest['report'];
  try {
    report = await reportOf(session, search, done, best);
    const { ensemble: asked, metric, formulas } = options;
    const found = asked && (await findEnsemble(session, able, asked, metric!, formulas));
    const ensemble = typeof found === 'object' ? found.result : found;
    if (!(options.refit ?? true)) return { ...nothing, report, ...(ensemble ? { ensemble } : {}) };
    options.onPhase?.('refit');
    if (typeof found === 'object') {
      const { model, fitted } = await fitEnsemble(session, found, options.onOutput);
      const all = found.members.map((member, m) => endingOfRefit(search, member, fitted[m]!));
      const said = all.flatMap((one) => one.said);
      const ended = all.reduce((sum, one) => sum + one.ended, 0);
      return { report, model, said, ended, ensemble: found.result };
    }
    const { open, candidate } = best;
    const fitted = await fitBest(session, open.group, candidate.all);
    const [fit] = fitted.fits;
    const model = await keptModel(session, open.group, candidate.all, fit!, options.onOutput);
    const ending = endingOfRefit(search, best, fitted);
    return { report, model, ...ending, ...(ensemble ? { ensemble } : {}) };
  } catch (error) {
    if (!canStop(options)) throw error;
    return { ...nothing, report, stopped: 'it was stopped before the best was fitted' };
  }
}

function endingOfRefit(
  search: Search,
  { open, candidate }: TrialDone,
  { fits, endings }: SearchFits,
): Pick<FittedBest, 'said' | 'ended'> {
  const { ended, said } = endingsOf(fits, endings, open.group.rung);
  const shown = shownOf(search, candidate);
  return { ended, said: Object.values(said).map((text) => `${shown}, all rows: ${text}`) };
}

/** How the best tells classes apart; undefined where that was not asked for. */
async function reportOf(
  session: Run,
  { classes }: Search,
  { results }: RungsDone,
  { number, open, kept }: TrialDone,
): Promise<ClassReport | string | undefined> {
  const { weights } = results.find(({ wave }) => wave.includes(number))!.result;
  if (weights === undefined) return undefined;
  const group = withTrials(open.group, [number]);
  const parts = ownParts(group);
  const held = heldOutOfOne(group, 0, (part) => {
    const own = weights[parts.indexOf(part)]!;
    return matrix(session, own.rows, own.cols, restoredCells(own));
  });
  const { errors = {} } = kept;
  const isFailed = (p: number, split: number): boolean =>
    errors[parts[p]!.first + split] !== undefined;
  return classReport(session, held, classes, isFailed);
}

/** What fits and scores say, those of all trials and of the best on all rows. */
function warningsOfFits(
  search: Search,
  done: RungsDone,
  fitted: FittedBest,
  folds: number,
): string[] {
  const { trials, results } = done;
  const notes = new Notes();
  for (const { result } of results) notes.add(result.notes ?? {});
  const ownFolds = splitCount(search.splits);
  // Fits that go on in a later rung are not at their end.
  const isFinal = finalTrials(done);
  const atEnd = trials.filter(({ budget }, t) => budget?.iterations === undefined || isFinal[t]);
  const endings = atEnd.flatMap(({ candidate, kept: { said = {} } }) =>
    Object.entries(said).map(([f, text]) => {
      const nested = Number(f) < ownFolds ? '' : 'nested ';
      return `${shownOf(search, candidate)}, ${nested}fold ${f}: ${text}`;
    }),
  );
  const ended = atEnd.reduce((sum, { kept }) => sum + (kept.ended ?? 0), fitted.ended);
  return [
    ...endingWarnings([...endings, ...fitted.said], ended),
    ...notes.warnings(folds * trials.length),
  ];
}

function shownOf(search: Search, candidate: Candidate): string {
  const { model, params } = calledBy(search, candidate);
  return `${model === undefined ? '' : `${model} `}${JSON.stringify(params)}`;
}
