/**
 * A model as an ONNX graph of standard operators in float64: encoding, the product with the
 * coefficients, and what makes predictions and probabilities of it. Invariant: for rows that
 * `reprise predict` takes it gives the same values, up to the rounding of a product. A missing
 * number is NaN, a missing text the empty text; where predicting would end with an error, the
 * answer is NaN.
 */
import { ConfigError } from '../../driver/errors.js';
import { layersWidth } from '../estimators/networks/stored-layers.js';
import { voteWidth } from '../estimators/votes.js';
import type { ModelFeature, ModelFile } from '../model/model-file.js';
import { modelFor } from '../predict/outputs.js';
import {
  type ExportedFeature,
  type ExportInput,
  exportFeatures,
  inputsOf,
  mayStayMissing,
  Names,
  numericCategories,
} from './inputs.js';
import { Graph } from './onnx-graph.js';
import { layerValues, nanGuarded } from './onnx-layers.js';
import { type OnnxValue, onnxBytes, type TensorType } from './onnx-messages.js';
import { refusedAtMissing, stagedColumns } from './onnx-stages.js';

/** Names of what models answer with. */
const ANSWERS = [
  'prediction',
  'label',
  'decision',
  'probabilities',
  'components',
  'reconstruction',
] as const;

/** Booleans that may be missing are numbers: 1 for true, NaN for missing. */
function inputType({ type, mayMiss }: ExportInput): 'double' | 'bool' | 'string' {
  if (type === 'text') return 'string';
  return type === 'boolean' && !mayMiss ? 'bool' : 'double';
}

/** The bytes of an `.onnx` file. @throws ConfigError for categories it can't tell apart */
export function onnxModel(model: ModelFile): Uint8Array {
  if (model.nonnegative !== undefined) {
    throw new ConfigError(
      `export: expected a model whose decision values are linear, got ${model.estimator}, which has to solve for the components of each row; use reprise predict`,
      { key: 'model', value: model.estimator },
    );
  }
  const graph = new Graph();
  // Names of values of our own begin with v or c and a number.
  const features = exportFeatures(model, new Names(ANSWERS, (name) => /^[vc]\d+$/.test(name)));
  const pieces = features.map(({ feature, input }) => encoded(graph, feature, input));
  let x = graph.node('Concat', pieces, { axis: 1 });
  if (model.dtype === 'float32') x = graph.cast(graph.cast(x, 'float'), 'double');
  let decisions: string;
  if (model.prepare === undefined) decisions = decisionsOf(graph, model, x);
  else {
    const made = decisionsOf(graph, model, stagedColumns(graph, x, model.prepare));
    const own = pieces.filter((_, f) => !mayStayMissing(features[f]!.feature));
    decisions = refusedAtMissing(graph, made, own);
  }
  const outputs = model.votes
    ? votedAnswers(graph, model, decisions, model.votes)
    : ownAnswers(graph, model, decisions);
  return onnxBytes({
    nodes: graph.nodes,
    constants: graph.constants,
    inputs: inputsOf(features).map((input) => {
      const { name, column, sql } = input;
      const doc = sql === undefined ? `column ${column}` : `the value of: ${sql}`;
      return { name, type: inputType(input), columns: 1, doc };
    }),
    outputs,
    doc: `${model.estimator} for ${model.target ?? 'no target'}, exported by Reprise`,
    producerVersion: model.trained.reprise,
    metadata: { trained_on: model.trained.data, columns: JSON.stringify(model.columns) },
  });
}

/** The columns of one feature: [rows, width] of doubles. */
function encoded(graph: Graph, feature: ExportedFeature, input: ExportInput): string {
  const raw = input.name;
  const type = inputType(input);
  if (feature.encode === 'onehot') return oneHot(graph, feature, input, raw);
  const number = type === 'bool' ? graph.cast(raw, 'double') : raw;
  const given = feature.impute;
  const x =
    given === undefined
      ? number
      : graph.node('Where', [
          graph.node('IsNaN', [number]),
          graph.doubles([given], [1, 1]),
          number,
        ]);
  return feature.encode === 'number' ? x : bins(graph, feature, x);
}

type OneHot = ModelFeature & { readonly encode: 'onehot' };

function oneHot(graph: Graph, feature: OneHot, input: ExportInput, raw: string): string {
  const { categories, impute } = feature;
  const type = inputType(input);
  const numberOf = (text: unknown): number =>
    input.type === 'boolean' ? Number(String(text) === 'true') : Number(text);
  const values = (texts: readonly unknown[]): string => {
    const side = [1, texts.length];
    if (type === 'string') return graph.texts(texts.map(String), side);
    return graph[type === 'bool' ? 'bools' : 'doubles'](texts.map(numberOf), side);
  };
  const isMissing = (x: string): string | undefined => {
    if (type === 'double') return graph.node('IsNaN', [x]);
    return type === 'string' ? graph.node('Equal', [x, values([''])]) : undefined;
  };
  if (input.type === 'number') numericCategories(feature);
  const absent = impute === undefined ? undefined : isMissing(raw);
  const x = absent === undefined ? raw : graph.node('Where', [absent, values([impute]), raw]);
  const list = values(categories);
  const listed = graph.cast(graph.node('Equal', [x, list]), 'double');
  const pieces = [listed];
  const missing = feature.missing ? isMissing(x) : undefined;
  const indicator = missing === undefined ? undefined : graph.cast(missing, 'double');
  if (feature.other) {
    const known = graph.node('ReduceSum', [listed, graph.ints([1])], { keepdims: 1 });
    const rest = graph.node('Sub', [graph.doubles([1], [1, 1]), known]);
    pieces.push(indicator === undefined ? rest : graph.node('Sub', [rest, indicator]));
  }
  if (feature.missing) {
    const zero = (): string =>
      graph.node('Mul', [columnOf(graph, listed), graph.doubles([0], [1, 1])]);
    pieces.push(indicator ?? zero());
  }
  return pieces.length === 1 ? listed : graph.node('Concat', pieces, { axis: 1 });
}

function columnOf(graph: Graph, x: string): string {
  return graph.node('ReduceSum', [x, graph.ints([1])], { keepdims: 1 });
}

type Bins = ModelFeature & { readonly encode: 'bin' };

/** Bin i holds what reaches edge i and not edge i + 1; the outer bins are open. */
function bins(graph: Graph, { edges, missing, impute }: Bins, x: string): string {
  const absent = graph.cast(graph.node('IsNaN', [x]), 'double');
  const one = graph.doubles([1], [1, 1]);
  // Without a column for them, missing numbers make the answer NaN, which predicting refuses.
  const isRefused = !missing && impute === undefined;
  const guard = graph.node('Mul', [x, graph.doubles([0], [1, 1])]);
  const present = isRefused ? graph.node('Add', [one, guard]) : graph.node('Sub', [one, absent]);
  const inner = edges.slice(1, -1);
  const pieces: string[] = [];
  if (inner.length === 0) pieces.push(present);
  else {
    const reaches = graph.node('GreaterOrEqual', [x, graph.doubles(inner, [1, inner.length])]);
    const above = graph.cast(reaches, 'double');
    const none = graph.node('Mul', [absent, graph.doubles([0], [1, 1])]);
    const from = graph.node('Concat', [present, above], { axis: 1 });
    pieces.push(graph.node('Sub', [from, graph.node('Concat', [above, none], { axis: 1 })]));
  }
  if (missing) pieces.push(absent);
  return pieces.length === 1 ? pieces[0]! : graph.node('Concat', pieces, { axis: 1 });
}

/** B(X) W + b. */
function decisionsOf(graph: Graph, model: ModelFile, x: string): string {
  // Layers begin at the columns.
  if (model.coefficients.length === 0) return x;
  const product = graph.node('MatMul', [basisOf(graph, model, x), weightsOf(graph, model)]);
  return graph.node('Add', [
    product,
    graph.doubles(model.intercepts, [1, model.intercepts.length]),
  ]);
}

function basisOf(graph: Graph, { basis }: ModelFile, x: string): string {
  if (basis === undefined) return x;
  if (basis === 'squares') return graph.node('Concat', [x, graph.node('Mul', [x, x])], { axis: 1 });
  const above = graph.node('Greater', [x, graph.doubles([basis.above], [1, 1])]);
  // A missing number is not above anything, and must not make an answer.
  const guard = graph.node('Mul', [x, graph.doubles([0], [1, 1])]);
  return graph.node('Add', [graph.cast(above, 'double'), guard]);
}

function weightsOf(graph: Graph, { coefficients }: ModelFile): string {
  const outputs = coefficients.length;
  const rows = coefficients[0]!.length;
  const cells = Array.from({ length: rows * outputs }, (_, at) => {
    return coefficients[at % outputs]![Math.floor(at / outputs)]!;
  });
  return graph.doubles(cells, [rows, outputs]);
}

type Votes = NonNullable<ModelFile['votes']>;

/** Of an ensemble: the weighted mean of what members say is read as `jobs/estimators/votes.ts` has it. */
function votedAnswers(graph: Graph, model: ModelFile, all: string, votes: Votes): OnnxValue[] {
  const classes = model.classes!.length;
  let from = 0;
  const said = votes.members.map((member) => {
    const [start, end] = [from, from + member.outputs].map((at) => graph.ints([at]));
    from += member.outputs;
    const own = graph.node('Slice', [all, start!, end!, graph.ints([1])]);
    const one = memberSays(graph, votes.voting, member, classes, own);
    return graph.node('Mul', [one, graph.doubles([member.weight], [1, 1])]);
  });
  const sum = said.reduce((before, one) => graph.node('Add', [before, one]));
  const isPair = classes === 2;
  const z = isPair ? graph.node('Sub', [sum, graph.doubles([0.5], [1, 1])]) : sum;
  const intercepts = new Array<number>(voteWidth(classes)).fill(0);
  return answers(graph, { ...model, intercepts }, z, all);
}

/** Probabilities or the class that is predicted: of two classes of the second, else a column a class. */
function memberSays(
  graph: Graph,
  voting: Votes['voting'],
  { outputs, link }: Votes['members'][number],
  classes: number,
  z: string,
): string {
  const second = (both: string): string =>
    graph.node('Slice', [both, graph.ints([1]), graph.ints([2]), graph.ints([1])]);
  if (voting === 'soft') {
    if (link === 'logit') return graph.node('Sigmoid', [z]);
    const shares = graph.node('Softmax', [z], { axis: 1 });
    return classes === 2 ? second(shares) : shares;
  }
  if (outputs === 1) {
    return graph.cast(graph.node('Greater', [z, graph.doubles([0], [1, 1])]), 'double');
  }
  const winner = graph.node('ArgMax', [z], { axis: 1, keepdims: 1 });
  const places = Array.from({ length: classes }, (_, c) => c);
  const is = graph.node('Equal', [winner, graph.ints(places, [1, classes])]);
  const votes = graph.cast(is, 'double');
  return classes === 2 ? second(votes) : votes;
}

/** Of an autoencoder the code and the rows again; of others what they decide by. */
function ownAnswers(graph: Graph, model: ModelFile, first: string): OnnxValue[] {
  const { layers = [], code, columns } = model;
  const values = layerValues(graph, layers, first);
  const last = nanGuarded(graph, values.at(-1)!, first);
  if (code === undefined) return answers(graph, model, last, first);
  const coded = modelFor(model, ['components']);
  const [own] = answers(graph, coded, nanGuarded(graph, values[code]!, first), first);
  const name = 'reconstruction';
  graph.name(last, name);
  return [own!, { name, type: 'double', columns: columns.length }];
}

/** Names what the model answers with. @param all NaN where there is no answer */
function answers(graph: Graph, model: ModelFile, z: string, all: string): OnnxValue[] {
  const { task, link } = model;
  const columns = layersWidth(model.layers) ?? model.intercepts.length;
  const output = (name: string, value: string, own: Omit<OnnxValue, 'name'>): OnnxValue => {
    graph.name(value, name);
    return { name, ...own };
  };
  if (task === 'decomposition') return [output('components', z, { type: 'double', columns })];
  if (task === 'regression') {
    const value = link === 'log' ? graph.node('Exp', [z]) : z;
    return [output('prediction', value, { type: 'double', columns })];
  }
  const place =
    columns === 1 && task === 'classification'
      ? graph.node('Squeeze', [
          graph.cast(graph.node('Greater', [z, graph.doubles([0], [1, 1])]), 'int64'),
          graph.ints([1]),
        ])
      : graph.node('ArgMax', [z], { axis: 1, keepdims: 0 });
  const { type, value } = labelOf(graph, model, place);
  const none = { string: () => graph.texts(['']), double: () => graph.doubles([Number.NaN], [1]) };
  const known =
    type === 'string' || type === 'double'
      ? graph.node('Where', [
          graph.node('IsNaN', [graph.node('ReduceSum', [all, graph.ints([1])], { keepdims: 0 })]),
          none[type](),
          value,
        ])
      : value;
  const label = output('label', known, { type, columns: null });
  if (model.votes?.voting === 'hard') {
    // NaN where there is no answer, which not every label can say.
    const { length } = model.coefficients;
    return [label, output('decision', all, { type: 'double', columns: length })];
  }
  if (link === 'margin' || link === 'identity') {
    return [label, output('decision', z, { type: 'double', columns })];
  }
  const classes = model.classes?.length ?? columns;
  const shares = sharesOf(graph, link, z, columns);
  return [label, output('probabilities', shares, { type: 'double', columns: classes })];
}

/** A column a class. */
function sharesOf(graph: Graph, link: ModelFile['link'], z: string, columns: number): string {
  if (link === 'softmax') return graph.node('Softmax', [z], { axis: 1 });
  if (link === 'shares' && columns > 1) return z;
  const of = (one: string): string =>
    link === 'shares'
      ? graph.node('Add', [one, graph.doubles([0.5], [1, 1])])
      : graph.node('Sigmoid', [one]);
  return graph.node('Concat', [of(graph.node('Neg', [z])), of(z)], { axis: 1 });
}

/** The class at a place, of the type that classes have; without classes the place. */
function labelOf(
  graph: Graph,
  { classes }: ModelFile,
  place: string,
): { readonly type: TensorType; readonly value: string } {
  if (classes === undefined) return { type: 'int64', value: place };
  const gather = (list: string): string => graph.node('Gather', [list, place], { axis: 0 });
  if (classes.every((one) => typeof one === 'boolean')) {
    return { type: 'bool', value: gather(graph.bools(classes.map(Number))) };
  }
  if (classes.every((one) => typeof one === 'number')) {
    return classes.every(Number.isSafeInteger)
      ? { type: 'int64', value: gather(graph.ints(classes)) }
      : { type: 'double', value: gather(graph.doubles(classes, [classes.length])) };
  }
  return { type: 'string', value: gather(graph.texts(classes.map(String))) };
}
