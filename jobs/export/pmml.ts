/**
 * A model as PMML 4.4: the encoding as derived fields, and a RegressionModel over them. Invariant:
 * for rows that `reprise predict` takes it gives the same values, up to rounding; a missing number
 * that training had none of makes a missing prediction. What PMML has no such model for
 * (clusterings, decompositions, columns above a threshold) is refused.
 */
import { ConfigError } from '../../driver/errors.js';
import type { ModelFile } from '../model/model-file.js';
import {
  type ExportedFeature,
  type ExportInput,
  exportFeatures,
  inputsOf,
  Names,
  numericCategories,
} from './inputs.js';

/** Without one, PMML takes decision values for probabilities; the greatest stays the greatest. */
function normalization({ link, intercepts }: ModelFile): string {
  if (link === 'margin' || link === 'shares') return intercepts.length === 1 ? 'logit' : 'softmax';
  return { identity: 'none', log: 'exp', logit: 'logit', softmax: 'softmax' }[link];
}

/** The text of a `.pmml` file. @throws ConfigError for a model that PMML has no form for */
export function pmmlModel(model: ModelFile): string {
  const { task, basis, estimator, layers } = model;
  if (layers || task === 'clustering' || task === 'decomposition' || typeof basis === 'object') {
    throw new ConfigError(
      `export: expected a regression or a classification over the columns for PMML, got ${estimator}; export .onnx instead`,
      { key: 'model', value: estimator },
    );
  }
  if (model.prepare !== undefined) {
    const kinds = [...new Set(model.prepare.map(({ kind }) => kind))].join(', ');
    throw new ConfigError(
      `export: expected a model whose coefficients are of the encoded columns, got ${model.estimator} after cleaning steps that are no part of them (${kinds}); export .onnx instead`,
      { key: 'model', value: model.estimator },
    );
  }
  const isClassification = task === 'classification';
  const target = model.target ?? 'prediction';
  const names = new Names([target, ...(isClassification ? ['label', ...shareNames(model)] : [])]);
  const features = exportFeatures(model, names);
  const inputs = inputsOf(features);
  const terms = features.flatMap(({ feature, input }) => termsOf(feature, input, names));
  const miningFields = [
    ...inputs.map(({ name }) => tag('MiningField', { name, invalidValueTreatment: 'asIs' })),
    tag('MiningField', { name: target, usageType: 'target' }),
  ];
  const body = [
    tag('Header', { description: `${estimator} for ${target}` }, [
      tag('Application', { name: 'Reprise', version: model.trained.reprise }),
    ]),
    tag('DataDictionary', { numberOfFields: inputs.length + 1 }, [
      ...inputs.map(dataField),
      targetField(model, target),
    ]),
    tag(
      'TransformationDictionary',
      {},
      terms.flatMap(({ field }) => (field === undefined ? [] : [field])),
    ),
    modelOf(
      model,
      [tag('MiningSchema', {}, miningFields), ...(isClassification ? [outputOf(model)] : [])],
      miningFields,
      terms.map(({ name }) => name),
    ),
  ];
  const attributes = { xmlns: 'http://www.dmg.org/PMML-4_4', version: '4.4' };
  return `<?xml version="1.0" encoding="UTF-8"?>\n${tag('PMML', attributes, body)}\n`;
}

/** @param head schema and output, @param terms names of the predictors */
function modelOf(
  model: ModelFile,
  head: readonly string[],
  miningFields: readonly string[],
  terms: readonly string[],
): string {
  const { task, estimator, votes } = model;
  const own = { functionName: task, algorithmName: estimator };
  if (votes === undefined) {
    const normalizationMethod = normalization(model);
    return tag('RegressionModel', { ...own, normalizationMethod }, [...head, ...tablesOf(model, terms)]); // biome-ignore format: a call
  }
  const schema = tag('MiningSchema', {}, miningFields);
  const segments = membersOf(model, votes).map((member, m) => {
    const { weight } = votes.members[m]!;
    return tag('Segment', { id: m + 1, weight }, [tag('True', {}), modelOf(member, [schema], miningFields, terms)]); // biome-ignore format: a call
  });
  const segmentation = {
    multipleModelMethod: 'weightedAverage',
    missingPredictionTreatment: 'returnMissing',
  };
  return tag('MiningModel', own, [...head, tag('Segmentation', segmentation, segments)]);
}

/** The members of an ensemble that votes, as models. @throws ConfigError for votes by class */
function membersOf(
  model: ModelFile,
  { voting, members }: NonNullable<ModelFile['votes']>,
): ModelFile[] {
  if (voting === 'hard') {
    throw new ConfigError(
      'export: expected soft votes for PMML, which does not say what members that are divided equally answer, got hard votes; export .onnx instead',
      { key: 'model', value: model.estimator },
    );
  }
  const { votes: _, ...rest } = model;
  let from = 0;
  return members.map(({ outputs, link }, m) => {
    const of = <T>(all: readonly T[]): T[] => all.slice(from, from + outputs);
    const own = { coefficients: of(model.coefficients), intercepts: of(model.intercepts) };
    from += outputs;
    return { ...rest, link, ...own, estimator: `${model.estimator} member ${m + 1}` };
  });
}

function dataField({ name, type, sql }: ExportInput): string {
  const kind =
    type === 'number'
      ? { optype: 'continuous', dataType: 'double' }
      : { optype: 'categorical', dataType: type === 'boolean' ? 'boolean' : 'string' };
  const note = sql === undefined ? [] : [tag('Extension', { name: 'sql', value: sql })];
  return tag('DataField', { name, ...kind }, note);
}

function targetField({ task, classes = [] }: ModelFile, name: string): string {
  if (task === 'regression')
    return tag('DataField', { name, optype: 'continuous', dataType: 'double' });
  const dataType = classes.every((value) => typeof value === 'boolean')
    ? 'boolean'
    : classes.every((value) => typeof value === 'number')
      ? classes.every(Number.isSafeInteger)
        ? 'integer'
        : 'double'
      : 'string';
  const values = classes.map((value) => tag('Value', { value: String(value) }));
  return tag('DataField', { name, optype: 'categorical', dataType }, values);
}

/** Probabilities by class, where the model has them. */
function shareNames({ link, classes = [] }: ModelFile): string[] {
  return link === 'margin' ? [] : classes.map((value) => `probability_${value}`);
}

function outputOf(model: ModelFile): string {
  const shares = shareNames(model).map((name, c) =>
    tag('OutputField', {
      name,
      optype: 'continuous',
      dataType: 'double',
      feature: 'probability',
      value: String(model.classes![c]),
    }),
  );
  return tag('Output', {}, [
    tag('OutputField', {
      name: 'label',
      optype: 'categorical',
      dataType: 'string',
      feature: 'predictedValue',
    }),
    ...shares,
  ]);
}

/** One table an output; of two classes with one output, the first class's is empty. */
function tablesOf(model: ModelFile, names: readonly string[]): string[] {
  const { coefficients, intercepts, classes = [], task } = model;
  const isSingle = intercepts.length === 1;
  const tables = intercepts.map((intercept, k) => {
    const targetCategory = String(classes[isSingle ? 1 : k]);
    const predictors = coefficients[k]!.map((coefficient, at) =>
      tag('NumericPredictor', {
        name: names[at % names.length]!,
        ...(at < names.length ? {} : { exponent: 2 }),
        coefficient,
      }),
    );
    const attributes = task === 'classification' ? { intercept, targetCategory } : { intercept };
    return tag('RegressionTable', attributes, predictors);
  });
  if (task === 'regression' || !isSingle) return tables;
  return [...tables, tag('RegressionTable', { intercept: 0, targetCategory: String(classes[0]) })];
}

interface Term {
  /** Of the predictor. */
  readonly name: string;
  /** The derived field of that name; absent for an input itself. */
  readonly field?: string;
}

/** The encoded columns of a feature. */
function termsOf(feature: ExportedFeature, input: ExportInput, names: Names): Term[] {
  const derived = (what: string | number, expression: string): Term => {
    const name = names.take(`${feature.name}#${what}`);
    const attributes = { name, optype: 'continuous', dataType: 'double' };
    return { name, field: tag('DerivedField', attributes, [expression]) };
  };
  const field = tag('FieldRef', {
    field: input.name,
    ...(feature.impute === undefined ? {} : { mapMissingTo: feature.impute }),
  });
  const missing = indicator(apply('isMissing', [field]));
  switch (feature.encode) {
    case 'number':
      if (input.type === 'boolean') {
        const whenMissing = feature.impute === undefined ? {} : { mapMissingTo: feature.impute };
        const of = { field: input.name, value: 'true', ...whenMissing };
        return [derived('number', tag('NormDiscrete', of))];
      }
      return feature.impute === undefined ? [{ name: input.name }] : [derived('imputed', field)];
    case 'onehot': {
      const values =
        input.type === 'number'
          ? numericCategories(feature).map((value) => constant(value, 'double'))
          : feature.categories.map((text) =>
              constant(text, input.type === 'boolean' ? 'boolean' : 'string'),
            );
      const listed = values.map((value, c) =>
        derived(feature.categories[c]!, indicator(apply('equal', [field, value]))),
      );
      const unlisted = apply('isNotIn', [field, ...values]);
      // Missing values share the column of unlisted ones where they have none of their own. Whether
      // `isNotIn` of a missing value is true, programs do not agree on.
      const others = feature.missing
        ? apply('and', [apply('isNotMissing', [field]), unlisted])
        : apply('or', [apply('isMissing', [field]), unlisted]);
      return [
        ...listed,
        ...(feature.other ? [derived('(other)', indicator(others))] : []),
        ...(feature.missing ? [derived('(missing)', missing)] : []),
      ];
    }
    case 'bin': {
      const inner = feature.edges.slice(1, -1).map((edge) => constant(edge, 'double'));
      const bins = feature.edges.slice(1).map((_, i) => {
        const from = i === 0 ? [] : [apply('greaterOrEqual', [field, inner[i - 1]!])];
        const to = i === inner.length ? [] : [apply('lessThan', [field, inner[i]!])];
        const within = [...from, ...to];
        if (within.length === 0) return apply('isNotMissing', [field]);
        return within.length === 1 ? within[0]! : apply('and', within);
      });
      // What predicting refuses is missing: whether `if` is when its test is, programs do not agree on.
      const isRefused = !feature.missing && feature.impute === undefined;
      const guard = apply('*', [field, constant(0, 'double')]);
      const binOf = (test: string): string =>
        isRefused ? apply('+', [indicator(test), guard]) : indicator(test);
      return [
        ...bins.map((test, i) => derived(i, binOf(test))),
        ...(feature.missing ? [derived('(missing)', missing)] : []),
      ];
    }
  }
}

/** 1 where a test holds, else 0. */
function indicator(test: string): string {
  const parts = [test, constant(1, 'double'), constant(0, 'double')];
  return apply('if', parts, { mapMissingTo: 0 });
}

function apply(name: string, inner: readonly string[], attributes: Attributes = {}): string {
  return tag('Apply', { function: name, ...attributes }, inner);
}

function constant(value: string | number, dataType: string): string {
  // Some programs lose what stands before an entity in an element's text.
  const text = allowed(String(value)).replaceAll(']]>', ']]]]><![CDATA[>');
  const own = /[&<]|]]>/.test(text) ? `<![CDATA[${text}]]>` : text;
  return `<Constant dataType="${dataType}">${own}</Constant>`;
}

type Attributes = Readonly<Record<string, string | number>>;

function tag(name: string, attributes: Attributes, inner: readonly string[] = []): string {
  const list = Object.entries(attributes).map(
    ([key, value]) => ` ${key}="${escaped(String(value))}"`,
  );
  const head = `<${name}${list.join('')}`;
  if (inner.length === 0) return `${head}/>`;
  return `${head}>\n${inner.join('\n')}\n</${name}>`;
}

/** Text as it stands in an attribute. */
function escaped(text: string): string {
  return allowed(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replace(/[\t\n\r]/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** Without the characters that XML can't hold. */
function allowed(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must go
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '');
}
