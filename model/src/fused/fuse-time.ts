import type { Transform } from '../features/feature-schema.ts';
import { PARTS } from '../features/local-time.ts';
import { type GraphBuilder, int } from '../onnx/graph-builder.ts';
import { elementTypeCode, float64Tensor, int64Tensor } from '../onnx/tensor.ts';
import { emptyColumn, part, tokens } from './fuse-text.ts';
import { type FusedColumn, ML_DOMAIN, NotFusable, numberConstant, RUNTIME_DOMAIN } from './fused-column.ts';

export type TimeSettings = Extract<Transform, { readonly time: unknown }>['time'];

const SECONDS_PER_DAY = 86_400;
/** The largest time of JavaScript's Date, in seconds. */
const LAST_SECOND = 8.64e12;
/** Days from 1 March of the year 0 to 1 January 1970. */
const EPOCH_DAYS = 719_468;
const DAYS_PER_ERA = 146_097;

const LEAP_YEAR = '(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)';
const DAY_OF_YEAR =
  '((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))';
const CLOCK = '([01]\\d|2[0-3]):[0-5]\\d';
/** The texts that the plan takes for a moment (RFC 3339, days that exist). */
const MOMENT = `(\\d{4}-${DAY_OF_YEAR}|${LEAP_YEAR}-02-29)[Tt ]${CLOCK}:([0-5]\\d|60)(\\.\\d{1,9})?([Zz]|[+-]${CLOCK})`;

/**
 * The transform `time` in UTC as operators: a text[M, 1] or milliseconds[M, 1] to the part of the moment, float64[M, 1], or its sine and
 * cosine, [M, 2]; NaN for what is no moment.
 */
export function fuseTime(
  graph: GraphBuilder,
  column: FusedColumn,
  { part: wanted, as, zone }: TimeSettings,
): FusedColumn {
  if (new Intl.DateTimeFormat('en-US', { timeZone: zone }).resolvedOptions().timeZone !== 'UTC')
    throw new NotFusable(`time in ${zone} has no operators, only time in UTC`);
  const write = calculator(graph);
  const seconds =
    column.kind === 'text' ? secondsOfText(graph, column.value) : secondsOfNumber(graph, column.value);
  const value = partOf(write, seconds, wanted);
  if (as === 'number') return { kind: 'number', value, width: 1 };
  const { first, length } = PARTS[wanted];
  // A table, so that the columns are JavaScript's own sine and cosine; what is no moment stays NaN.
  const turns = Array.from({ length }, (_, index) => (index / length) * 2 * Math.PI);
  const table = graph.constant(
    'turns',
    float64Tensor(
      turns.flatMap((turn) => [Math.sin(turn), Math.cos(turn)]),
      [length, 2],
    ),
  );
  const isNone = graph.node('IsNaN', [value]);
  const index = graph.node('Where', [isNone, write.number(0), write.sub(value, first)]);
  const row = graph.node('Reshape', [
    graph.node('Cast', [index], { to: int(elementTypeCode('int64')) }),
    graph.constant('flat', int64Tensor([-1], [1])),
  ]);
  const columns = graph.node('Gather', [table, row], { axis: int(0) });
  return {
    kind: 'number',
    value: graph.node('Where', [isNone, write.number(Number.NaN), columns]),
    width: 2,
  };
}

/** Arithmetic on float64 values of the graph with constants; exact, because all numbers are whole and below 2^53. */
function calculator(graph: GraphBuilder) {
  const number = (value: number) => numberConstant(graph, value);
  const operand = (value: string | number) => (typeof value === 'number' ? number(value) : value);
  const binary = (operator: string) => (a: string | number, b: string | number) =>
    graph.node(operator, [operand(a), operand(b)]);
  const [add, sub, mul, div, less] = ['Add', 'Sub', 'Mul', 'Div', 'Less'].map(binary) as [
    Binary,
    Binary,
    Binary,
    Binary,
    Binary,
  ];
  const floorDiv = (a: string, b: number) => graph.node('Floor', [div(a, b)]);
  return {
    number,
    ...{ add, sub, mul, less, floorDiv },
    /** 0 to b - 1, for negative a too. */
    modulo: (a: string, b: number) => sub(a, mul(floorDiv(a, b), b)),
    where: (flag: string, yes: string | number, no: string | number) =>
      graph.node('Where', [flag, operand(yes), operand(no)]),
  };
}

type Binary = (a: string | number, b: string | number) => string;
type Calculator = ReturnType<typeof calculator>;

function partOf(write: Calculator, seconds: string, wanted: TimeSettings['part']): string {
  const days = write.floorDiv(seconds, SECONDS_PER_DAY);
  switch (wanted) {
    case 'hour':
      return write.floorDiv(write.modulo(seconds, SECONDS_PER_DAY), 3600);
    case 'weekday':
      // 1 January 1970 was a Thursday.
      return write.modulo(write.add(days, 3), 7);
    case 'month':
      return monthOf(write, days);
  }
}

/** Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days. */
function monthOf(write: Calculator, days: string): string {
  const dayOfEra = write.modulo(write.add(days, EPOCH_DAYS), DAYS_PER_ERA);
  const leapDays = write.sub(
    write.sub(write.floorDiv(dayOfEra, 36_524), write.floorDiv(dayOfEra, 1460)),
    write.floorDiv(dayOfEra, 146_096),
  );
  const yearOfEra = write.floorDiv(write.add(dayOfEra, leapDays), 365);
  const before = write.add(
    write.mul(yearOfEra, 365),
    write.sub(write.floorDiv(yearOfEra, 4), write.floorDiv(yearOfEra, 100)),
  );
  const dayOfYear = write.sub(dayOfEra, before);
  const month = write.floorDiv(write.add(write.mul(dayOfYear, 5), 2), 153);
  return write.where(write.less(month, 10), write.add(month, 3), write.sub(month, 9));
}

/** The inverse, days_from_civil. */
function daysOf(write: Calculator, year: string, month: string, day: string): string {
  const isEarly = write.less(month, 3);
  const from = write.where(isEarly, write.sub(year, 1), year);
  const yearOfEra = write.modulo(from, 400);
  const shifted = write.where(isEarly, write.add(month, 9), write.sub(month, 3));
  const dayOfYear = write.add(write.floorDiv(write.add(write.mul(shifted, 153), 2), 5), write.sub(day, 1));
  const leapDays = write.sub(write.floorDiv(yearOfEra, 4), write.floorDiv(yearOfEra, 100));
  const dayOfEra = write.add(write.add(write.mul(yearOfEra, 365), leapDays), dayOfYear);
  const ofEras = write.mul(write.floorDiv(from, 400), DAYS_PER_ERA);
  return write.sub(write.add(ofEras, dayOfEra), EPOCH_DAYS);
}

/** Whole seconds since 1970 of milliseconds; NaN beyond what a Date can hold. */
function secondsOfNumber(graph: GraphBuilder, value: string): string {
  const write = calculator(graph);
  const isHeld = write.less(graph.node('Abs', [value]), LAST_SECOND * 1000 + 1);
  return write.where(isHeld, write.floorDiv(value, 1000), Number.NaN);
}

/** Whole seconds since 1970 of texts[M, 1] (RFC 3339); NaN for other texts. */
function secondsOfText(graph: GraphBuilder, value: string): string {
  const write = calculator(graph);
  const texts = graph.node('Reshape', [value, graph.constant('flat', int64Tensor([-1], [1]))]);
  const isMoment = graph.node('RegexFullMatch', [value], { pattern: { kind: 'string', value: MOMENT } });
  const digits = digitsOf(graph, texts, 'YYYY-MM-DDTHH:MM:SS'.length);
  const at = (first: number, length = 2) => {
    const columns = part(graph, digits, first, first + length);
    const scale = Array.from({ length }, (_, index) => 10 ** (length - 1 - index));
    return graph.node('MatMul', [columns, graph.constant('tens', float64Tensor(scale, [length, 1]))]);
  };
  const days = daysOf(write, at(0, 4), at(5), at(8));
  const clock = write.add(write.mul(at(11), 3600), write.add(write.mul(at(14), 60), at(17)));
  const seconds = write.add(write.mul(days, SECONDS_PER_DAY), clock);
  const local = write.sub(seconds, offsetOf(graph, texts));
  return write.where(isMoment, local, Number.NaN);
}

/** Float64[M, 1]: seconds that the clock of each text is ahead of UTC. */
function offsetOf(graph: GraphBuilder, texts: string): string {
  const write = calculator(graph);
  const found = tokens(graph, texts, '[+-]\\d\\d:\\d\\d$', 1);
  const none = emptyColumn(graph, found);
  const first = part(graph, graph.node('Concat', [found, none], { axis: int(1) }), 0, 1);
  const flat = graph.node('Reshape', [first, graph.constant('flat', int64Tensor([-1], [1]))]);
  const digits = digitsOf(graph, flat, '+HH:MM'.length);
  const scale = graph.constant('seconds', float64Tensor([0, 36_000, 3600, 0, 600, 60], [6, 1]));
  const size = graph.node('MatMul', [digits, scale]);
  const isBehind = graph.node('RegexFullMatch', [first], { pattern: { kind: 'string', value: '-.*' } });
  return write.where(isBehind, write.sub(0, size), size);
}

/** Float64[M, width]: the first characters of texts[M], each as its digit, and 0 for any other. */
function digitsOf(graph: GraphBuilder, texts: string, width: number): string {
  const characters = graph.node(
    'Tokenizer',
    [texts],
    {
      separators: { kind: 'strings', value: [''] },
      mincharnum: int(1),
      mark: int(0),
      pad_value: { kind: 'string', value: '' },
    },
    { domain: RUNTIME_DOMAIN },
  );
  const none = new Array<string>(width).fill(emptyColumn(graph, characters));
  const first = part(graph, graph.node('Concat', [characters, ...none], { axis: int(1) }), 0, width);
  const digits = graph.node(
    'LabelEncoder',
    [first],
    {
      keys_strings: { kind: 'strings', value: Array.from({ length: 10 }, (_, digit) => String(digit)) },
      values_int64s: { kind: 'ints', value: Array.from({ length: 10 }, (_, digit) => BigInt(digit)) },
      default_int64: int(0),
    },
    { domain: ML_DOMAIN },
  );
  return graph.node('Cast', [digits], { to: int(elementTypeCode('float64')) });
}
