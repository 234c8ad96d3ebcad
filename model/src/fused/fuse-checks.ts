import type { CompiledFeature } from '../features/compile-feature.ts';
import type { GraphBuilder } from '../onnx/graph-builder.ts';
import { int } from '../onnx/graph-builder.ts';
import { elementTypeCode, float32Tensor, float64Tensor } from '../onnx/tensor.ts';
import { ABSENT_TEXT, type FusedColumn, ML_DOMAIN, numberConstant, textTensor } from './fused-column.ts';

/** A raw value after the plan's checks, and which rows are accepted: bool[M, 1] each. */
export interface Checked {
  readonly column: FusedColumn;
  readonly accepted: readonly string[];
}

/**
 * Applies a feature's checks to a raw value, [M, 1]: replaces absent values by `missing`, and handles values outside
 * range or allowed as `quality.outside` says. The same rules as in the plan.
 */
export function fuseChecks(graph: GraphBuilder, feature: CompiledFeature, value: string): Checked {
  switch (feature.encoder.type) {
    case 'text':
      return checkedText(graph, feature, value);
    case 'flag':
      return checkedFlag(graph, feature, value);
    default:
      return checkedNumber(graph, feature, value);
  }
}

function checkedText(graph: GraphBuilder, feature: CompiledFeature, value: string): Checked {
  const { missing, allowed, outside } = feature;
  const absent = isOneOf(graph, value, [ABSENT_TEXT]);
  const there = graph.node('Not', [absent]);
  const fits = allowed === undefined ? undefined : isOneOf(graph, value, [...allowed].map(String));
  const text = (column: string): FusedColumn => ({ kind: 'text', value: column, width: 1 });
  const isReplaced = outside === 'default' && fits !== undefined;
  const kept = fits === undefined || outside === 'default' || outside === 'keep';
  if (missing === undefined)
    return { column: text(value), accepted: kept ? [there] : [graph.node('And', [there, fits])] };
  const replacement = graph.constant('missing', textTensor([String(missing)], [1, 1]));
  const replaced = isReplaced ? graph.node('Or', [absent, graph.node('Not', [fits])]) : absent;
  const filled = graph.node('Where', [replaced, replacement, value]);
  return { column: text(filled), accepted: kept ? [] : [graph.node('Or', [absent, fits])] };
}

function checkedFlag(graph: GraphBuilder, feature: CompiledFeature, value: string): Checked {
  const { missing, allowed, outside } = feature;
  let number = graph.node('Cast', [value], { to: int(elementTypeCode('float64')) });
  let absent: string | undefined;
  if (missing !== undefined) {
    absent = graph.node('Less', [number, numberConstant(graph, 0)]);
    number = graph.node('Where', [absent, numberConstant(graph, Number(missing)), number]);
  }
  if (allowed === undefined || outside === 'keep')
    return { column: { kind: 'number', value: number, width: 1 }, accepted: [] };
  const fits = isOneOfNumbers(graph, number, [...allowed].map(Number));
  if (outside === 'default' && missing !== undefined) {
    const filled = graph.node('Where', [fits, number, numberConstant(graph, Number(missing))]);
    return { column: { kind: 'number', value: filled, width: 1 }, accepted: [] };
  }
  const accepted = absent === undefined ? fits : graph.node('Or', [absent, fits]);
  return { column: { kind: 'number', value: number, width: 1 }, accepted: [accepted] };
}

function checkedNumber(graph: GraphBuilder, feature: CompiledFeature, given: string): Checked {
  const { missing, allowed, outside, low, high, takesNaN } = feature;
  const and = (...flags: readonly (string | undefined)[]) =>
    flags.reduce((all, flag) => (all && flag ? graph.node('And', [all, flag]) : (all ?? flag)));
  // A comparison with NaN is false, so an absent value is neither finite nor within the limits.
  const infinity = numberConstant(graph, Number.POSITIVE_INFINITY);
  const finite = graph.node('Less', [graph.node('Abs', [given]), infinity]);
  const notLess = (a: string, b: string) => graph.node('Not', [graph.node('Less', [a, b])]);
  const within = and(
    Number.isFinite(low) ? notLess(given, numberConstant(graph, low)) : undefined,
    Number.isFinite(high) ? notLess(numberConstant(graph, high), given) : undefined,
  );
  const listed = allowed === undefined ? undefined : isOneOfNumbers(graph, given, [...allowed].map(Number));
  let value = given;
  let fits: string = finite;
  switch (outside) {
    case 'keep':
      break;
    case 'reject':
      fits = and(finite, within, listed) as string;
      break;
    case 'clip': {
      // A value outside the range is clipped, whether it is allowed or not; a value inside must be allowed.
      const outsideOrListed =
        listed === undefined || within === undefined
          ? listed
          : graph.node('Or', [graph.node('Not', [within]), listed]);
      fits = and(finite, outsideOrListed) as string;
      for (const [operator, end] of [
        ['Less', low],
        ['Greater', high],
      ] as const)
        if (Number.isFinite(end)) {
          const limit = numberConstant(graph, end);
          value = graph.node('Where', [graph.node(operator, [value, limit]), limit, value]);
        }
      break;
    }
    case 'default': {
      const good = and(within, listed);
      if (good !== undefined)
        value = graph.node('Where', [
          graph.node('And', [finite, graph.node('Not', [good])]),
          numberConstant(graph, Number(missing)),
          value,
        ]);
    }
  }
  const column = (name: string): FusedColumn => ({ kind: 'number', value: name, width: 1 });
  if (missing === undefined) return { column: column(value), accepted: [fits] };
  const absent = graph.node('IsNaN', [given]);
  const accepted = [graph.node('Or', [absent, fits])];
  if (takesNaN) return { column: column(value), accepted };
  const filled = graph.node('Where', [absent, numberConstant(graph, Number(missing)), value]);
  return { column: column(filled), accepted };
}

/**
 * bool[M, 1]: whether each text is one of `texts`. Uses LabelEncoder, because Equal accepts text only from operator
 * set 19 on.
 */
export function isOneOf(graph: GraphBuilder, value: string, texts: readonly string[]): string {
  const code = graph.node(
    'LabelEncoder',
    [value],
    {
      keys_strings: { kind: 'strings', value: texts },
      values_int64s: { kind: 'ints', value: texts.map(() => 1n) },
      default_int64: int(0),
    },
    { domain: ML_DOMAIN },
  );
  return graph.node('Cast', [code], { to: int(elementTypeCode('bool')) });
}

function isOneOfNumbers(graph: GraphBuilder, value: string, numbers: readonly number[]): string {
  const list = graph.constant('allowed', float64Tensor(numbers, [1, numbers.length]));
  return anyOf(graph, graph.node('Equal', [value, list]), numbers.length);
}

/** bool[M, 1] from bool[M, width]: whether any value of a row is true. */
export function anyOf(graph: GraphBuilder, flags: string, width: number): string {
  const number = graph.node('Cast', [flags], { to: int(elementTypeCode('float32')) });
  const ones = graph.constant('ones', float32Tensor(new Float32Array(width).fill(1), [width, 1]));
  return graph.node('Cast', [graph.node('MatMul', [number, ones])], { to: int(elementTypeCode('bool')) });
}

/** bool[M, 1] from bool[M, width]: whether all values of a row are true. */
export function allOf(graph: GraphBuilder, flags: string, width: number): string {
  return width === 1 ? flags : graph.node('Not', [anyOf(graph, graph.node('Not', [flags]), width)]);
}
