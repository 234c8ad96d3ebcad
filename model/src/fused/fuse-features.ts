import type { CompiledFeature } from '../features/compile-feature.ts';
import type { Feature, Transform } from '../features/feature-schema.ts';
import { GraphBuilder, int } from '../onnx/graph-builder.ts';
import { elementTypeCode } from '../onnx/tensor.ts';
import { allOf, type Checked, fuseChecks } from './fuse-checks.ts';
import { fuseTransform, reshape } from './fuse-transform.ts';
import { NotFusable, numberConstant, textTensor } from './fused-column.ts';
import { type FusedInput, rowsInputOf } from './fused-input.ts';

export interface FuseOptions {
  /**
   * For engines with columnar data: a text input `x` is [U, 1] with each text once, and `x (row)` int32 [N] has the
   * index of each row's text. Texts are then passed and transformed once each instead of once per row.
   */
  readonly distinctTexts: boolean;
}

/** Columns of one feature, [N, width], and whether each row is accepted, bool[N, 1]. */
export interface FusedFeature {
  /** float64, or string for an input of texts; float32 for precomputed columns of a float32 input. */
  readonly columns: string;
  /** The columns are float32, and every number of them fits the network. */
  readonly isFinite?: boolean;
  readonly accepted: readonly string[];
}

/** The operator set that introduced standard operators for joining texts. */
export const OPSET_OF_TEXT = 20;
/** Transforms that leave NaN unchanged. */
const KEEP_NAN: ReadonlySet<string> = new Set(['abs', 'log1p', 'standardize', 'scale']);
/** Transforms that do the same as in the plan with the NaN of a text that is no moment. */
const AFTER_TIME: ReadonlySet<string> = new Set([...KEEP_NAN, 'one_hot']);
/** Transforms whose operators are of `OPSET_OF_TEXT` where they read a text. */
const READ_TEXT: ReadonlySet<string> = new Set(['text', 'time']);

/** Writes features into a graph. Inputs that several features read are declared once. */
export class FeatureWriter {
  /** The standard operator set that the nodes need. */
  leastOpset = 0;
  readonly #graph: GraphBuilder;
  readonly #features: readonly Feature[];
  readonly #compiled: readonly CompiledFeature[];
  readonly #options: FuseOptions;
  readonly #inputs: FusedInput[] = [];
  /** Text inputs that have a second input with row indices, and the texts that are distinguished; undefined: all. */
  readonly #distinguished = new Map<string, ReadonlySet<string> | undefined>();
  readonly #sources = new Map<string, string>();
  readonly #checked = new Map<number, Checked & { readonly input: string | undefined }>();

  /** @param features as in the manifest; @param compiled the same features, checked by the plan. */
  constructor(
    graph: GraphBuilder,
    features: readonly Feature[],
    compiled: readonly CompiledFeature[],
    options: FuseOptions,
  ) {
    this.#graph = graph;
    this.#features = features;
    this.#compiled = compiled;
    this.#options = options;
  }

  get inputs(): readonly FusedInput[] {
    return this.#inputs.map((input) => {
      const distinguished = this.#distinguished.get(input.name);
      return distinguished === undefined ? input : { ...input, categories: [...distinguished] };
    });
  }

  /**
   * Writes one feature, given by its index. A feature that the graph cannot compute becomes an input of precomputed
   * columns, with the reason.
   */
  write(index: number): FusedFeature {
    const feature = this.#compiled[index] as CompiledFeature;
    const problem = this.#problem(index);
    if (problem === undefined) return this.#fused(index);
    const name = `feature.${feature.name}`;
    const type = feature.encoder.dtype === 'float32' ? 'float32' : 'float64';
    this.declare({ name, type, width: feature.width, why: problem });
    return { columns: name, accepted: [] };
  }

  /** The checks of a feature without columns, because a row that fails them is rejected too. */
  writeHidden(index: number): readonly string[] {
    const isFusable = problemOf(() => this.#trial().#rawOf(index)) === undefined;
    return isFusable ? this.#ofRows(index, this.#rawOf(index).accepted) : [];
  }

  /** @returns the input's name in the graph, declared the first time. */
  declare(input: FusedInput): string {
    const known = this.#inputs.find(({ name }) => name === input.name);
    if (known?.type === input.type && known.width === input.width) return input.name;
    // One field read with different types becomes several inputs, whose names contain the type.
    const name = known === undefined ? input.name : `${input.name} (${input.type})`;
    if (this.#inputs.some((other) => other.name === name)) return name;
    this.#inputs.push({ ...input, name });
    // A separate dimension name, because the runtime assumes that dimensions with the same name are equal, and reuses
    // memory accordingly.
    const rows = this.#options.distinctTexts && input.type === 'string' ? `texts of ${name}` : 'N';
    return this.#graph.input(name, input.type, [rows, input.width]);
  }

  /** A text input with one text per row, also when the other inputs contain distinct texts. */
  textOfRows(input: string): string {
    if (!this.#options.distinctTexts) return input;
    return this.#graph.node('Gather', [input, this.#rowsOf(input, undefined)], { axis: int(0) });
  }

  /** Tries a feature on a temporary graph, so that a failure leaves nothing partial in the real one. */
  #problem(index: number): string | undefined {
    return problemOf(() => this.#trial().#fused(index));
  }

  #trial(): FeatureWriter {
    return new FeatureWriter(new GraphBuilder(), this.#features, this.#compiled, this.#options);
  }

  #fused(index: number): FusedFeature {
    const graph = this.#graph;
    const feature = this.#compiled[index] as CompiledFeature;
    const { transform } = this.#features[index] as Feature;
    const { values, encoder, takesNaN } = feature;
    for (const each of transform)
      if (takesNaN && !KEEP_NAN.has(nameOf(each))) throw new NotFusable('NaN represents its missing value');
    const raw = this.#rawOf(index);
    let { column } = raw;
    for (const [at, each] of transform.entries()) {
      if (nameOf(each) === 'time' && transform.slice(at + 1).some((next) => !AFTER_TIME.has(nameOf(next))))
        throw new NotFusable('what is no moment is refused by the plan alone');
      if (column.kind === 'text' && READ_TEXT.has(nameOf(each))) this.leastOpset = OPSET_OF_TEXT;
      column = fuseTransform(graph, column, each);
    }
    if (column.kind === 'text' && encoder.dtype !== 'string') throw new NotFusable('it ends in text');
    const columns = values === 1 ? column.value : reshape(graph, column.value, values * column.width);
    const [ofRows = '', ...accepted] = this.#ofRows(index, [columns, ...raw.accepted]);
    return { columns: ofRows, accepted, isFinite: column.kind === 'finite' };
  }

  /** Expands values of distinct texts to rows; other values are returned unchanged. */
  #ofRows(index: number, values: readonly string[]): readonly string[] {
    const { input } = this.#rawOf(index);
    if (input === undefined) return values;
    const rows = this.#rowsOf(input, categoriesOf(this.#features[index] as Feature));
    return values.map((value) => this.#graph.node('Gather', [value, rows], { axis: int(0) }));
  }

  /**
   * A feature's raw value after its checks, written once. `input`: the input of distinct texts that its rows point
   * to.
   */
  #rawOf(index: number): Checked & { readonly input: string | undefined } {
    const known = this.#checked.get(index);
    if (known !== undefined) return known;
    const graph = this.#graph;
    const feature = this.#compiled[index] as CompiledFeature;
    const { values, encoder, source } = feature;
    if (encoder.type === 'texts') throw new NotFusable('it reads a list of texts');
    if (encoder.type === 'image') throw new NotFusable('image has no operators');
    const isMade = source.kind === 'cross' || source.kind === 'ratio';
    const given = isMade
      ? {
          value: source.kind === 'cross' ? this.#cross(feature) : this.#ratio(feature),
          accepted: this.#uses(feature),
        }
      : { value: this.#input(index), accepted: [] };
    const flat = values === 1 ? given.value : reshape(graph, given.value, 1);
    const { column, accepted } = fuseChecks(graph, feature, flat);
    const isDistinct = !isMade && this.#options.distinctTexts && encoder.type === 'text' && values === 1;
    const checked = {
      column,
      accepted: [...accepted.map((flag) => this.#ofValues(flag, values)), ...given.accepted],
      input: isDistinct ? given.value : undefined,
    };
    this.#checked.set(index, checked);
    return checked;
  }

  /** bool[N, 1] from bool[N * values, 1]. */
  #ofValues(flag: string, values: number): string {
    return values === 1 ? flag : allOf(this.#graph, reshape(this.#graph, flag, values), values);
  }

  #uses({ uses }: CompiledFeature): readonly string[] {
    return uses.flatMap((place) => this.#ofRows(place, this.#rawOf(place).accepted));
  }

  /** string[N, 1]: both raw values as one text, `A|B`. */
  #cross({ uses }: CompiledFeature): string {
    const [left, right] = uses.map((place) => this.#asText(place));
    this.leastOpset = OPSET_OF_TEXT;
    const graph = this.#graph;
    const bar = graph.constant('bar', textTensor(['|'], [1, 1]));
    return graph.node('StringConcat', [graph.node('StringConcat', [left as string, bar]), right as string]);
  }

  #asText(index: number): string {
    const graph = this.#graph;
    const { column } = this.#rawOf(index);
    if (column.kind === 'text') {
      const { input } = this.#rawOf(index);
      if (input === undefined) return column.value;
      return graph.node('Gather', [column.value, this.#rowsOf(input, undefined)], { axis: int(0) });
    }
    if (this.#compiled[index]?.type !== 'flag')
      throw new NotFusable('the text of a number is as JavaScript has it');
    const isTrue = graph.node('Cast', [column.value], { to: int(elementTypeCode('bool')) });
    const [yes, no] = ['true', 'false'].map((text) => graph.constant('flag', textTensor([text], [1, 1])));
    return graph.node('Where', [isTrue, yes as string, no as string]);
  }

  /** float64[N, 1]: NaN, which means absent, if the second value is 0 or one of the two is NaN. */
  #ratio({ uses }: CompiledFeature): string {
    const graph = this.#graph;
    if (uses.some((place) => this.#compiled[place]?.type !== 'number'))
      throw new NotFusable('it divides a value that is not a number');
    const [above, below] = uses.map((place) => this.#rawOf(place).column.value) as [string, string];
    const isZero = graph.node('Equal', [below, numberConstant(graph, 0)]);
    const quotient = graph.node('Div', [above, below]);
    return graph.node('Where', [isZero, numberConstant(graph, Number.NaN), quotient]);
  }

  #input(index: number): string {
    const feature = this.#features[index] as Feature;
    const { encoder, source, values } = this.#compiled[index] as CompiledFeature;
    const mayBeAbsent = feature.missing !== undefined;
    const isRead = source.kind === 'history' || source.kind === 'reference';
    const common = {
      name: this.#nameOf(feature),
      width: values,
      ...(isRead ? { why: `${source.kind} is read outside the file` } : {}),
    };
    switch (encoder.type) {
      case 'text':
        return this.declare({ ...common, type: 'string', ...(mayBeAbsent ? { absent: 'U+001A' } : {}) });
      case 'flag':
        return this.declare({
          ...common,
          ...(mayBeAbsent ? { type: 'int8', absent: '-1' } : { type: 'bool' }),
        });
      default:
        return this.declare({ ...common, type: 'float64', ...(mayBeAbsent ? { absent: 'NaN' } : {}) });
    }
  }

  /** The same path of history with another window or condition is another value, so it gets another name. */
  #nameOf({ name, from, window, max_age, where, by }: Feature): string {
    const read = JSON.stringify([window, max_age, where, by]);
    const before = this.#sources.get(from);
    if (before === undefined) this.#sources.set(from, read);
    return before === undefined || before === read ? from : `${from} of ${name}`;
  }

  /**
   * int32[N]: the index of each row's text among the distinct texts of an input. `distinguished`: the texts that the reader
   * distinguishes; undefined: all.
   */
  #rowsOf(input: string, distinguished: readonly string[] | undefined): string {
    const name = rowsInputOf(input);
    const isFirst = !this.#distinguished.has(input);
    if (isFirst) this.#graph.input(name, 'int32', ['N']);
    const before = isFirst ? new Set<string>() : this.#distinguished.get(input);
    this.#distinguished.set(input, distinguished && before && new Set([...before, ...distinguished]));
    return name;
  }
}

/** The texts that a feature distinguishes; undefined: all. */
function categoriesOf({ transform: [first], allowed = [] }: Feature): readonly string[] | undefined {
  if (typeof first !== 'object') return undefined;
  const found = 'one_hot' in first ? first.one_hot : 'multi_hot' in first ? first.multi_hot : undefined;
  return found && [...found, ...allowed].map(String);
}

function nameOf(transform: Transform): string {
  return typeof transform === 'string' ? transform : (Object.keys(transform)[0] ?? '');
}

/** Why it cannot be fused; undefined if it can. */
function problemOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof NotFusable) return error.message;
    throw error;
  }
}
