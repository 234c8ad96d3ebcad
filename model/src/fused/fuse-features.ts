import type { CompiledFeature } from '../features/compile-feature.ts';
import type { Feature } from '../features/feature-schema.ts';
import { GraphBuilder, int } from '../onnx/graph-builder.ts';
import { elementTypeCode, float32Tensor } from '../onnx/tensor.ts';
import { fuseTransform, reshape } from './fuse-transform.ts';
import {
  ABSENT_TEXT,
  type FusedColumn,
  ML_DOMAIN,
  NotFusable,
  numberConstant,
  textTensor,
} from './fused-column.ts';

/** One input of the fused file. */
export interface FusedInput {
  /** `request.price`, `item.rating`, `entity.user`, `history.user.view.count`, or `feature.NAME` for ready columns. */
  readonly name: string;
  readonly type: 'float64' | 'string' | 'bool' | 'int8' | 'float32';
  /** Values a row: 1, N for last(N), or the columns of a feature that could not be fused. */
  readonly width: number;
  /** How an absent value is written; undefined: the value must be there. */
  readonly absent?: 'NaN' | 'U+001A' | '-1';
  /** For `feature.NAME` and history: why the graph does not compute it. */
  readonly why?: string;
  /** With `distinctTexts`: the only texts that the model tells apart; any other is as good as another. */
  readonly categories?: readonly string[];
}

/** Columns of one feature, float32[N, width], and whether each row may be answered, bool[N, 1]. */
export interface FusedFeature {
  readonly columns: string;
  readonly accepted: readonly string[];
}

/** The input beside one of distinct texts: int32[N], which of them each row has. */
export function rowsInputOf(input: string): string {
  return `${input} (row)`;
}

/** Writes features into a graph. Inputs that several features read are declared once. */
export class FeatureWriter {
  readonly inputs: FusedInput[] = [];
  readonly #rowInputs = new Set<string>();
  readonly #graph: GraphBuilder;
  readonly #infinity: string;
  readonly #distinctTexts: boolean;

  /** @param options.distinctTexts text inputs take each text once, and a second input says which of them a row has. */
  constructor(graph: GraphBuilder, options: { readonly distinctTexts: boolean } = { distinctTexts: false }) {
    this.#graph = graph;
    this.#infinity = numberConstant(graph, Number.POSITIVE_INFINITY);
    this.#distinctTexts = options.distinctTexts;
  }

  /** @param feature as the manifest writes it; @param compiled the same, checked by the plan. */
  write(feature: Feature, compiled: CompiledFeature): FusedFeature {
    const problem = this.#problem(feature, compiled);
    if (problem === undefined) return this.#fused(feature, compiled);
    const name = `feature.${feature.name}`;
    this.#declare({ name, type: 'float32', width: compiled.width, why: problem });
    return { columns: name, accepted: [] };
  }

  /** Tries the transforms on a graph that is thrown away, so that nothing half-written stays. */
  #problem(feature: Feature, compiled: CompiledFeature): string | undefined {
    if (compiled.uses.length > 0) return 'it is made of other features';
    if (compiled.type === 'texts') return 'it reads a list of texts';
    if (compiled.takesNaN) return 'NaN stands for its missing value';
    if (compiled.allowed || compiled.outside !== 'reject') return 'its values are checked outside the file';
    try {
      const graph = new GraphBuilder();
      const start: FusedColumn = {
        kind: compiled.encoder.type === 'text' ? 'text' : 'number',
        value: 'x',
        width: 1,
      };
      let column = start;
      for (const transform of feature.transform) column = fuseTransform(graph, column, transform);
      return column.kind === 'number' ? undefined : 'it ends in text';
    } catch (error) {
      if (error instanceof NotFusable) return error.message;
      throw error;
    }
  }

  #fused(feature: Feature, compiled: CompiledFeature): FusedFeature {
    const graph = this.#graph;
    const { values } = compiled;
    const raw = this.#input(feature, compiled);
    const flat = values === 1 ? raw : reshape(graph, raw, 1);
    const checked = this.#checked(feature, compiled, flat);
    let column = checked.column;
    for (const transform of feature.transform) column = fuseTransform(graph, column, transform);
    const narrow = graph.node('Cast', [column.value], { to: int(elementTypeCode('float32')) });
    const columns = values === 1 ? narrow : reshape(graph, narrow, values * column.width);
    const accepted = checked.accepted.map((flag) => this.#allOf(flag, values));
    if (!this.#distinctTexts || compiled.encoder.type !== 'text' || values !== 1)
      return { columns, accepted };
    this.#noteCategories(raw, feature);
    const rows = this.#rowsOf(raw);
    const ofRows = (value: string) => graph.node('Gather', [value, rows], { axis: int(0) });
    return { columns: ofRows(columns), accepted: accepted.map(ofRows) };
  }

  /** Gathers what all features that read an input tell apart; one that is more than one-hot tells all texts apart. */
  #noteCategories(name: string, { transform: [first] }: Feature): void {
    const at = this.inputs.findIndex((input) => input.name === name);
    const input = this.inputs[at] as FusedInput;
    const told = typeof first === 'object' && 'one_hot' in first ? first.one_hot.map(String) : undefined;
    const { categories: before, ...rest } = input;
    const isFirst = !this.#rowInputs.has(rowsInputOf(name));
    const both = isFirst ? told : before && told && [...new Set([...before, ...told])];
    this.inputs[at] = both === undefined ? rest : { ...rest, categories: both };
  }

  /** int32[N]: which of the distinct texts of an input each row has. */
  #rowsOf(input: string): string {
    const name = rowsInputOf(input);
    if (!this.#rowInputs.has(name)) this.#graph.input(name, 'int32', ['N']);
    this.#rowInputs.add(name);
    return name;
  }

  #input(feature: Feature, { encoder, source, values }: CompiledFeature): string {
    const mayBeAbsent = feature.missing !== undefined;
    const isRead = source.kind === 'history' || source.kind === 'reference';
    const why = isRead ? `${source.kind} is read outside the file` : undefined;
    const common = { name: feature.from, width: values, ...(why === undefined ? {} : { why }) };
    switch (encoder.type) {
      case 'number':
        return this.#declare({ ...common, type: 'float64', ...(mayBeAbsent ? { absent: 'NaN' } : {}) });
      case 'text':
      case 'texts':
        return this.#declare({ ...common, type: 'string', ...(mayBeAbsent ? { absent: 'U+001A' } : {}) });
      case 'flag':
        return this.#declare({
          ...common,
          ...(mayBeAbsent ? { type: 'int8', absent: '-1' } : { type: 'bool' }),
        });
      case 'image':
        throw new NotFusable('image has no operators');
    }
  }

  #declare(input: FusedInput): string {
    const known = this.inputs.find(({ name }) => name === input.name);
    if (known?.type === input.type && known.width === input.width) return input.name;
    // The same field read in two ways: as often as it is read, under a name that says how.
    const name = known === undefined ? input.name : `${input.name} (${input.type})`;
    if (this.inputs.some((other) => other.name === name)) return name;
    this.inputs.push({ ...input, name });
    // A name of its own: the runtime takes sizes of one name for equal, and reuses memory by it.
    const rows = this.#distinctTexts && input.type === 'string' ? `texts of ${name}` : 'N';
    return this.#graph.input(name, input.type, [rows, input.width]);
  }

  /** Puts the missing value in its place, and says which rows the front door would refuse. */
  #checked(
    feature: Feature,
    compiled: CompiledFeature,
    value: string,
  ): { readonly column: FusedColumn; readonly accepted: readonly string[] } {
    const graph = this.#graph;
    const { missing } = feature;
    const type = compiled.encoder.type;
    if (type === 'text') {
      const absent = this.#isText(value, ABSENT_TEXT);
      if (missing === undefined)
        return { column: { kind: 'text', value, width: 1 }, accepted: [graph.node('Not', [absent])] };
      const replacement = graph.constant('missing', textTensor([String(missing)], [1, 1]));
      const filled = graph.node('Where', [absent, replacement, value]);
      return { column: { kind: 'text', value: filled, width: 1 }, accepted: [] };
    }
    const double = { to: int(elementTypeCode('float64')) };
    if (type === 'flag') {
      const number = graph.node('Cast', [value], double);
      if (missing === undefined) return { column: { kind: 'number', value: number, width: 1 }, accepted: [] };
      const absent = graph.node('Less', [number, numberConstant(graph, 0)]);
      const filled = graph.node('Where', [absent, numberConstant(graph, Number(missing)), number]);
      return { column: { kind: 'number', value: filled, width: 1 }, accepted: [] };
    }
    // A comparison with NaN is false, so an absent value is not within its limits either.
    let fits = graph.node('Less', [graph.node('Abs', [value]), this.#infinity]);
    if (Number.isFinite(compiled.low))
      fits = graph.node('And', [fits, this.#notLess(value, numberConstant(graph, compiled.low))]);
    if (Number.isFinite(compiled.high))
      fits = graph.node('And', [fits, this.#notLess(numberConstant(graph, compiled.high), value)]);
    if (missing === undefined) return { column: { kind: 'number', value, width: 1 }, accepted: [fits] };
    const absent = graph.node('IsNaN', [value]);
    const filled = graph.node('Where', [absent, numberConstant(graph, Number(missing)), value]);
    return {
      column: { kind: 'number', value: filled, width: 1 },
      accepted: [graph.node('Or', [absent, fits])],
    };
  }

  #notLess(a: string, b: string): string {
    return this.#graph.node('Not', [this.#graph.node('Less', [a, b])]);
  }

  /** bool[M, 1]: whether each text is `text`. By LabelEncoder, since Equal takes text only from operator set 19 on. */
  #isText(value: string, text: string): string {
    const code = this.#graph.node(
      'LabelEncoder',
      [value],
      {
        keys_strings: { kind: 'strings', value: [text] },
        values_int64s: { kind: 'ints', value: [1n] },
        default_int64: int(0),
      },
      { domain: ML_DOMAIN },
    );
    return this.#graph.node('Cast', [code], { to: int(elementTypeCode('bool')) });
  }

  /** bool[N, 1] of bool[N * values, 1]: whether all values of a row are so. */
  #allOf(flag: string, values: number): string {
    if (values === 1) return flag;
    const graph = this.#graph;
    const number = graph.node('Cast', [graph.node('Not', [flag])], { to: int(elementTypeCode('float32')) });
    const ones = graph.constant('ones', float32Tensor(new Float32Array(values).fill(1), [values, 1]));
    const broken = graph.node('MatMul', [reshape(graph, number, values), ones]);
    return graph.node('Not', [graph.node('Cast', [broken], { to: int(elementTypeCode('bool')) })]);
  }
}
