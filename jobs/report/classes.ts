/**
 * How the best candidate tells classes apart: the confusion matrix with precision and recall of each
 * class, and ROC, precision-recall and calibration curves, which the page's script draws as it draws
 * validation curves. Invariant: every figure is of held-out rows.
 */
import { formatCount, formatFixed, plural } from '../format.js';
import type { ClassCurves, ClassReport } from '../search/scoring/class-curves.js';
import type { CurveData } from './charts.js';
import { html, jsonBlock, type Markup } from './markup.js';

/** Classes beyond which the matrix is left to result.json. */
const MOST_CLASSES = 30;

/** The section's content. */
export function classesSection(report: ClassReport): Markup {
  const { curves } = report;
  const names = curves.map((one) => String(one.class));
  const isOne = curves.length === 1;
  const of = isOne ? `class ${names[0]}` : 'each class against all others';
  return html`
<p class="note">Of held-out rows under the best candidate, each predicted by the model of its own fold${timesText(report)}.</p>
${matrixTable(report)}
${figure(`ROC: ${of}`, steps(curves, 'roc', 'share of other rows taken for it', 'share of its rows found'), names)}
${figure(`Precision and recall: ${of}`, steps(curves, 'precision', 'recall', 'precision'), names)}
${curves.every(({ calibration }) => calibration) ? curves.slice(0, isOne ? 1 : 3).map(calibrationFigure) : null}`;
}

/** A row that several repeats or drawn splits test counts as often. */
function timesText({ partitions }: ClassReport): string {
  if (partitions === undefined) return '';
  const { all, counted } = partitions;
  const which =
    counted < all
      ? `the first ${formatCount(counted)} of ${formatCount(all)}`
      : `all ${formatCount(all)}`;
  return `, once in each of ${which} repeats or draws that tests it`;
}

function matrixTable({ classes, confusion }: ClassReport): Markup {
  if (classes.length > MOST_CLASSES) {
    return html`<p class="note">The confusion matrix of ${formatCount(classes.length)} classes is in result.json.</p>`;
  }
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const share = (part: number, all: number): string =>
    all === 0 ? '' : formatFixed(part / all, 3);
  const rows = classes.map((name, c) => {
    const own = confusion[c]!;
    const called = sum(confusion.map((row) => row[c]!));
    const hits = own[c]!;
    return html`<tr><th scope="row">${String(name)}</th>${own.map((n) => html`<td class="n">${formatCount(n)}</td>`)}<td class="n">${formatCount(sum(own))}</td><td class="n">${share(hits, called)}</td><td class="n">${share(hits, sum(own))}</td><td class="n">${share(2 * hits, called + sum(own))}</td></tr>`;
  });
  const heads = [...classes.map((name) => `as ${name}`), 'rows', 'precision', 'recall', 'f1'];
  return html`<div class="scroll"><table class="confusion"><caption>Rows by class (down) and prediction (across)</caption><thead><tr><th scope="col">class</th>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

/** The first class as the line, others as thin ones, over 0, 1/100, .., 1. */
function steps(
  curves: readonly ClassCurves[],
  name: 'roc' | 'precision',
  axis: string,
  metric: string,
): CurveData {
  const [first, ...others] = curves.map((one) => one[name]);
  const x = first!.map((_, i) => i / (first!.length - 1));
  const text = (i: number): string =>
    curves.map((one) => `${one.class} ${formatFixed(one[name][i]!, 3)}`).join(', ');
  return {
    ...lineOf(axis, metric, x, first!),
    tips: x.map((at, i) => `${axis} ${formatFixed(at, 2)}: ${metric} ${text(i)}`),
    folds: others,
  };
}

function calibrationFigure({ class: name, calibration = [] }: ClassCurves): Markup {
  const x = calibration.map(({ predicted }) => predicted);
  const line = lineOf('predicted probability', 'share of rows', x, calibration.map(({ observed }) => observed)); // biome-ignore format: one call
  const data = {
    ...line,
    tips: calibration.map(
      ({ predicted, observed, rows }) =>
        `${plural(rows, 'row')} predicted ${formatFixed(predicted, 3)}: ${formatFixed(observed, 3)} are`,
    ),
    // What is predicted, for comparison.
    folds: [x],
  };
  return figure(`Calibration: class ${name}`, data, [`class ${name}`, 'as predicted']);
}

function lineOf(
  axis: string,
  metric: string,
  x: readonly number[],
  mean: readonly number[],
): Omit<CurveData, 'tips' | 'folds'> {
  const none = x.map(() => null);
  const labels = x.map((at) => formatFixed(at, 2));
  return {
    metric,
    axis,
    scale: 'linear',
    kind: 'curve',
    x,
    labels,
    mean,
    low: none,
    high: none,
    best: -1,
  };
}

function figure(title: string, data: CurveData, names: readonly string[]): Markup {
  const [first, ...others] = names;
  return html`<figure>
<h3>${title}</h3>
<div class="chart" role="img" tabindex="0" aria-label="${title}"><script type="application/json">${jsonBlock(data)}</script><p class="note">The curve is drawn by this page's script; result.json has its figures.</p></div>
<output class="tip"></output>
<figcaption><ul class="legend"><li><span class="line mean"></span>${first}</li>${others.length > 0 ? html`<li data-view="folds"><span class="line fold"></span>${others.join(', ')}</li>` : null}</ul></figcaption>
</figure>`;
}
