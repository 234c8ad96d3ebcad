import type { Transform } from '../features/feature-schema.ts';
import { GraphBuilder, int } from '../onnx/graph-builder.ts';
import { elementTypeCode, float32Tensor, int64Tensor } from '../onnx/tensor.ts';
import { characterClasses } from './character-classes.ts';
import { type FusedColumn, ML_DOMAIN, RUNTIME_DOMAIN, textTensor } from './fused-column.ts';

export type TextSettings = Extract<Transform, { readonly text: unknown }>['text'];

const FLOAT = { to: int(elementTypeCode('float32')) };
const LONG = { to: int(elementTypeCode('int64')) };
const FINAL_SIGMA = 'Σ';

/**
 * The transform `text` as operators: text[M, 1] to float32[M, buckets]. The same as in the plan: lower case, words of two or more
 * characters, runs of words joined by a space, MurmurHash3, counts, weights, norm.
 */
export function fuseText(graph: GraphBuilder, column: FusedColumn, settings: TextSettings): FusedColumn {
  const { ngrams, buckets, norm, lowercase, binary, sublinear, alternate_sign, idf } = settings;
  const given = graph.node('Reshape', [column.value, whole(graph, [-1])]);
  const texts = lowercase ? lowered(graph, given) : given;
  const words = tokens(graph, texts, `[${characterClasses().word}]+`, 2);
  const { grams, isThere } = ngramsOf(graph, words, ngrams);
  const hash = graph.node(
    'MurmurHash3',
    [grams],
    { seed: int(0), positive: int(0) },
    { domain: RUNTIME_DOMAIN },
  );
  const size = graph.node('Abs', [graph.node('Cast', [hash], LONG)]);
  const places = graph.node('Mod', [size, whole(graph, [buckets], [1, 1])]);
  let weights = graph.node('Cast', [isThere], FLOAT);
  if (alternate_sign) {
    const below = graph.node('Cast', [graph.node('Less', [hash, zeroInt(graph)])], FLOAT);
    const sign = graph.node('Sub', [float(graph, 1), graph.node('Mul', [float(graph, 2), below])]);
    weights = graph.node('Mul', [sign, weights]);
  }
  const rows = graph.node('Shape', [texts]);
  const shape = graph.node('Concat', [rows, whole(graph, [buckets])], { axis: int(0) });
  const nothing = graph.node('Expand', [float(graph, 0), shape]);
  let value = graph.node('ScatterElements', [nothing, places, weights], {
    axis: int(1),
    reduction: { kind: 'string', value: 'add' },
  });
  const isZero = () => graph.node('Equal', [value, float(graph, 0)]);
  if (binary) value = graph.node('Where', [isZero(), float(graph, 0), float(graph, 1)]);
  if (sublinear) {
    const isMore = graph.node('Less', [float(graph, 0), value]);
    const more = graph.node('Add', [
      graph.node('Log', [graph.node('Where', [isMore, value, float(graph, 1)])]),
      float(graph, 1),
    ]);
    value = graph.node('Where', [isMore, more, value]);
  }
  if (idf !== undefined)
    value = graph.node('Mul', [value, graph.constant('idf', float32Tensor(idf, [1, buckets]))]);
  if (norm !== 'none') {
    const axes = whole(graph, [1]);
    const length = graph.node(norm === 'l2' ? 'ReduceL2' : 'ReduceL1', [value, axes], { keepdims: int(1) });
    const isEmpty = graph.node('Equal', [length, float(graph, 0)]);
    value = graph.node('Div', [value, graph.node('Where', [isEmpty, float(graph, 1), length])]);
  }
  return { kind: 'finite', value, width: buckets };
}

/** Text[M, D]: what a pattern of RE2 finds in each text, from left to right, then empty texts. */
export function tokens(graph: GraphBuilder, texts: string, pattern: string, atLeast: number): string {
  return graph.node(
    'Tokenizer',
    [texts],
    {
      tokenexp: { kind: 'string', value: pattern },
      mincharnum: int(atLeast),
      mark: int(0),
      pad_value: { kind: 'string', value: '' },
    },
    { domain: RUNTIME_DOMAIN },
  );
}

/**
 * Text[M] as JavaScript's toLowerCase gives it, on any machine: StringNormalizer asks the machine for a locale. A text is cut into
 * single characters that change and what lies between, the former are looked up, and the pieces are joined again.
 */
function lowered(graph: GraphBuilder, texts: string): string {
  const { upper, upperTexts, lowerTexts } = characterClasses();
  const pieces = tokens(graph, texts, `[^${upper}]+|[${upper}]`, 1);
  const found = lookedUp(graph, pieces, upperTexts, lowerTexts);
  const changed = graph.node('Where', [isEmptyText(graph, found), pieces, found]);
  const final = graph.constant('final', textTensor(['ς'], [1, 1]));
  return joined(graph, graph.node('Where', [isFinalSigma(graph, pieces), final, changed]));
}

/**
 * Bool[M, D]: a sigma with a cased character before it and none behind it, with any number of ignorable ones in between. The pieces are
 * single changing characters, which are cased, and what lies between two of them, so two pieces on each side decide.
 */
function isFinalSigma(graph: GraphBuilder, pieces: string): string {
  const { cased, ignorable } = characterClasses();
  const none = emptyColumn(graph, pieces);
  const padded = graph.node('Concat', [none, none, pieces, none, none], { axis: int(1) });
  const matches = (pattern: string) =>
    graph.node('RegexFullMatch', [padded], { pattern: { kind: 'string', value: pattern } });
  const endsCased = matches(`(?s).*[${cased}][${ignorable}]*`);
  const startsCased = matches(`(?s)[${ignorable}]*[${cased}].*`);
  const isIgnorable = matches(`[${ignorable}]+`);
  const beside = (flags: string, by: number) => part(graph, flags, 2 + by, by === 2 ? undefined : by - 2);
  const near = (ends: string, by: number) =>
    graph.node('Or', [beside(ends, by), graph.node('And', [beside(isIgnorable, by), beside(ends, 2 * by)])]);
  const isSigma = graph.node('Equal', [pieces, graph.constant('sigma', textTensor([FINAL_SIGMA], [1, 1]))]);
  const isLast = graph.node('And', [near(endsCased, -1), graph.node('Not', [near(startsCased, 1)])]);
  return graph.node('And', [isSigma, isLast]);
}

/** Text[M] from text[M, D]: the columns of each row as one text. Halves the columns until one is left. */
function joined(graph: GraphBuilder, pieces: string): string {
  const none = emptyColumn(graph, pieces);
  const start = graph.node('Concat', [none, pieces], { axis: int(1) });
  const prefix = `${graph.uniqueName('join')}/`;
  const body = new GraphBuilder(prefix);
  body.input(`${prefix}turn`, 'int64', []);
  body.input(`${prefix}goes on`, 'bool', []);
  const columns = body.input(`${prefix}columns`, 'string', null);
  const even = body.node('Slice', [columns, ...slice(body, 0, undefined, 2)]);
  const padded = body.node('Concat', [columns, none], { axis: int(1) });
  const odd = body.node('Slice', [padded, ...slice(body, 1, undefined, 2)]);
  const pairs = body.node('StringConcat', [even, odd], {}, { outputs: [`${prefix}pairs`] });
  const more = body.node('Identity', [isWide(body, pairs)], {}, { outputs: [`${prefix}more`] });
  body.output(more, 'bool', []);
  body.output(pairs, 'string', null);
  const all = graph.node('Loop', ['', isWide(graph, start), start], {
    body: { kind: 'graph', value: body.build(`${prefix}body`).graph },
  });
  return graph.node('Reshape', [all, whole(graph, [-1])]);
}

/** Bool[]: whether a matrix has more than one column. */
function isWide(graph: GraphBuilder, matrix: string): string {
  const width = graph.node('Gather', [graph.node('Shape', [matrix]), wholeScalar(graph, 1)], {
    axis: int(0),
  });
  return graph.node('Less', [wholeScalar(graph, 1), width]);
}

/** Text[M, D] and bool[M, D]: all runs of words of each text, and which of them there are. */
function ngramsOf(graph: GraphBuilder, words: string, [shortest, longest]: readonly [number, number]) {
  const none = emptyColumn(graph, words);
  const padded = graph.node('Concat', [words, ...new Array<string>(longest).fill(none)], { axis: int(1) });
  const spaced = (before: string) =>
    graph.node('StringConcat', [before, graph.constant('space', textTensor([' '], [1, 1]))]);
  const grams: string[] = [];
  const last: string[] = [];
  let gram = '';
  for (let length = 1; length <= longest; length++) {
    // All have the width of the words and one more, so that there is always a column.
    const word = part(graph, padded, length - 1, length === longest ? undefined : length - longest);
    gram = length === 1 ? word : graph.node('StringConcat', [spaced(gram), word]);
    if (length < shortest) continue;
    grams.push(gram);
    last.push(word);
  }
  const side = (values: readonly string[]) =>
    values.length === 1 ? (values[0] as string) : graph.node('Concat', values, { axis: int(1) });
  return { grams: side(grams), isThere: graph.node('Not', [isEmptyText(graph, side(last))]) };
}

/** The texts that stand for some, and an empty text for all others. */
function lookedUp(
  graph: GraphBuilder,
  texts: string,
  keys: readonly string[],
  values: readonly string[],
): string {
  return graph.node(
    'LabelEncoder',
    [texts],
    {
      keys_strings: { kind: 'strings', value: keys },
      values_strings: { kind: 'strings', value: values },
      default_string: { kind: 'string', value: '' },
    },
    { domain: ML_DOMAIN },
  );
}

function isEmptyText(graph: GraphBuilder, texts: string): string {
  return graph.node('Equal', [texts, graph.constant('empty', textTensor([''], [1, 1]))]);
}

/** Text[M, 1], all empty, for a matrix of M rows. */
export function emptyColumn(graph: GraphBuilder, matrix: string): string {
  const rows = graph.node('Gather', [graph.node('Shape', [matrix]), whole(graph, [0])], { axis: int(0) });
  const shape = graph.node('Concat', [rows, whole(graph, [1])], { axis: int(0) });
  return graph.node('Expand', [graph.constant('empty', textTensor([''], [1, 1])), shape]);
}

/** Columns from `start` up to `end`, which counts from the last column where it is negative. */
export function part(graph: GraphBuilder, matrix: string, start: number, end?: number): string {
  return graph.node('Slice', [matrix, ...slice(graph, start, end, 1)]);
}

function slice(graph: GraphBuilder, start: number, end = Number.MAX_SAFE_INTEGER, step = 1): string[] {
  return [start, end, 1, step].map((value) => whole(graph, [value]));
}

function whole(graph: GraphBuilder, values: readonly number[], dims = [values.length]): string {
  return graph.constant('whole', int64Tensor(values, dims));
}

function wholeScalar(graph: GraphBuilder, value: number): string {
  return graph.constant('whole', int64Tensor([value], []));
}

function zeroInt(graph: GraphBuilder): string {
  return graph.constant('zero', { elementType: 'int32', dims: [1, 1], data: Int32Array.of(0) });
}

function float(graph: GraphBuilder, value: number): string {
  return graph.constant('float', float32Tensor([value], [1, 1]));
}
