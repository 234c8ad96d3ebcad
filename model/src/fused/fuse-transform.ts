import type { Transform } from '../features/feature-schema.ts';
import { type GraphBuilder, int } from '../onnx/graph-builder.ts';
import { elementTypeCode, float64Tensor, int64Tensor } from '../onnx/tensor.ts';
import { fuseText } from './fuse-text.ts';
import { fuseTime } from './fuse-time.ts';
import { type FusedColumn, ML_DOMAIN, NotFusable, numberConstant, RUNTIME_DOMAIN } from './fused-column.ts';

type KindOf<T> = T extends string ? T : keyof T & string;
type TransformKind = KindOf<Transform>;
type ArgumentOf<Kind extends string> =
  Extract<Transform, Readonly<Record<Kind, unknown>>> extends infer Found
    ? Found extends Readonly<Record<Kind, infer Argument>>
      ? Argument
      : undefined
    : undefined;
type Fuse<Kind extends string> = (
  graph: GraphBuilder,
  column: FusedColumn,
  argument: ArgumentOf<Kind>,
) => FusedColumn;

const DOUBLE = { to: int(elementTypeCode('float64')) };

/** Converts transforms to operators; a transform that is not listed has none. */
const FUSE: { readonly [Kind in TransformKind]?: Fuse<Kind> } = {
  abs: (graph, column) => numbers(column, (value) => graph.node('Abs', [value])),
  log1p: (graph, column) =>
    numbers(column, (value) => {
      const size = graph.node('Add', [graph.node('Abs', [value]), numberConstant(graph, 1)]);
      return graph.node('Mul', [graph.node('Sign', [value]), graph.node('Log', [size])]);
    }),
  standardize: (graph, column, { mean, std }) =>
    numbers(column, (value) =>
      graph.node('Div', [
        graph.node('Sub', [value, numberConstant(graph, mean)]),
        numberConstant(graph, std),
      ]),
    ),
  scale: (graph, column, { min, max }) =>
    numbers(column, (value) =>
      graph.node('Div', [
        graph.node('Sub', [value, numberConstant(graph, min)]),
        numberConstant(graph, max - min),
      ]),
    ),
  clip: (graph, column, [low, high]) =>
    numbers(column, (value) =>
      graph.node('Min', [
        graph.node('Max', [value, numberConstant(graph, low)]),
        numberConstant(graph, high),
      ]),
    ),
  bucketize: (graph, column, boundaries) =>
    numbers(column, (value) => {
      const list = graph.constant('boundaries', float64Tensor(boundaries, [1, boundaries.length]));
      const reached = graph.node('Cast', [graph.node('Not', [graph.node('Less', [value, list])])], DOUBLE);
      const ones = graph.constant(
        'ones',
        float64Tensor(
          boundaries.map(() => 1),
          [boundaries.length, 1],
        ),
      );
      return graph.node('MatMul', [reached, ones]);
    }),
  one_hot: (graph, column, categories) => {
    const width = categories.length;
    if (column.kind === 'number') {
      const list = graph.constant('categories', float64Tensor(categories.map(Number), [1, width]));
      const value = graph.node('Cast', [graph.node('Equal', [column.value, list])], DOUBLE);
      return { kind: 'number', value, width };
    }
    return hotTexts(graph, column, categories.map(String));
  },
  hash: (graph, column, given) => {
    if (typeof given === 'number' || given.function !== 'murmur3')
      throw new NotFusable('FNV-1a has no operator; push again, and hash becomes MurmurHash3');
    return hashed(graph, column, given.buckets);
  },
  id: (graph, column, given) => {
    if ('buckets' in given) return hashed(graph, column, given.buckets);
    return column.kind === 'text'
      ? placeOfText(graph, column, given.values)
      : placeOfNumber(graph, column, given.values);
  },
  multi_hot: (graph, column, categories) => {
    if (column.kind === 'number') throw new NotFusable('multi_hot of a number has no operators');
    return hotTexts(graph, column, categories);
  },
  text: fuseText,
  time: fuseTime,
};

/** One column per category; for any other text all are 0. */
function hotTexts(graph: GraphBuilder, column: FusedColumn, categories: readonly string[]): FusedColumn {
  const hot = graph.node(
    'OneHotEncoder',
    [column.value],
    { cats_strings: { kind: 'strings', value: categories }, zeros: int(1) },
    { domain: ML_DOMAIN },
  );
  const width = categories.length;
  const flat = graph.node('Reshape', [hot, graph.constant('shape', int64Tensor([-1, width]))]);
  return { kind: 'number', value: graph.node('Cast', [flat], DOUBLE), width };
}

/** The index in the list, from 1; 0 for a text that is not in it. */
function placeOfText(
  graph: GraphBuilder,
  column: FusedColumn,
  values: readonly (string | number)[],
): FusedColumn {
  const place = graph.node(
    'LabelEncoder',
    [column.value],
    {
      keys_strings: { kind: 'strings', value: values.map(String) },
      values_int64s: { kind: 'ints', value: values.map((_, index) => BigInt(index + 1)) },
      default_int64: int(0),
    },
    { domain: ML_DOMAIN },
  );
  return { kind: 'number', value: graph.node('Cast', [place], DOUBLE), width: 1 };
}

/** Each row is compared with the whole list, so longer lists are left to the plan. */
const MOST_NUMBERS = 1000;

function placeOfNumber(
  graph: GraphBuilder,
  column: FusedColumn,
  values: readonly (string | number)[],
): FusedColumn {
  if (values.length > MOST_NUMBERS)
    throw new NotFusable(`id with more than ${MOST_NUMBERS} numbers has no operators`);
  const list = graph.constant('values', float64Tensor(values.map(Number), [1, values.length]));
  const places = graph.constant(
    'places',
    float64Tensor(
      values.map((_, index) => index + 1),
      [values.length, 1],
    ),
  );
  const same = graph.node('Cast', [graph.node('Equal', [column.value, list])], DOUBLE);
  return { kind: 'number', value: graph.node('MatMul', [same, places]), width: 1 };
}

/** As scikit-learn's FeatureHasher: the absolute value of the signed hash, modulo buckets. */
function hashed(graph: GraphBuilder, column: FusedColumn, buckets: number): FusedColumn {
  if (column.kind === 'number') throw new NotFusable('hash of a number needs its text as JavaScript has it');
  const hash = graph.node(
    'MurmurHash3',
    [column.value],
    { seed: int(0), positive: int(0) },
    { domain: RUNTIME_DOMAIN },
  );
  const whole = graph.node('Abs', [graph.node('Cast', [hash], { to: int(elementTypeCode('int64')) })]);
  const bucket = graph.node('Mod', [whole, graph.constant('buckets', int64Tensor([buckets], [1, 1]))]);
  return { kind: 'number', value: graph.node('Cast', [bucket], DOUBLE), width: 1 };
}

/** Appends one transform to `column`. Throws NotFusable when no operators compute the same. */
export function fuseTransform(graph: GraphBuilder, column: FusedColumn, transform: Transform): FusedColumn {
  const kind = typeof transform === 'string' ? transform : Object.keys(transform)[0];
  const argument = typeof transform === 'string' ? undefined : Object.values(transform)[0];
  const fuse = (FUSE as unknown as Readonly<Record<string, Fuse<string> | undefined>>)[kind ?? ''];
  if (fuse === undefined) throw new NotFusable(`${kind} has no operators`);
  return fuse(graph, column, argument as never);
}

function numbers(column: FusedColumn, write: (value: string) => string): FusedColumn {
  if (column.kind === 'text') throw new NotFusable('a text is not a number');
  return { kind: 'number', value: write(column.value), width: column.width };
}

/** Puts every value of a list into its own row, or back side by side. */
export function reshape(graph: GraphBuilder, value: string, width: number): string {
  return graph.node('Reshape', [value, graph.constant('shape', int64Tensor([-1, width]))]);
}
