import { parseRfc3339 } from '@hotloop/proto/rfc3339.ts';
import { isAbsent } from './absent.ts';
import { fieldNames } from './field-names.ts';
import { writeManifest } from './write-manifest.ts';

/** A table from a CSV file: texts, row by row. */
export interface TextTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface ColumnFinding {
  readonly column: string;
  readonly finding: 'no_variance' | 'duplicate' | 'leak' | 'id' | 'too_many_missing' | 'unreadable_time';
  readonly detail: string;
}

export interface InferredManifest {
  readonly yaml: string;
  readonly task: 'binary' | 'multiclass' | 'regression';
  readonly label: string;
  /** Columns that became features. */
  readonly features: readonly string[];
  /** Columns that were omitted, or need attention, and why. */
  readonly findings: readonly ColumnFinding[];
  /** The fields of a first request: those of the first row in which none of them is missing, otherwise of the first row. */
  readonly example: Readonly<Record<string, string | number | boolean>>;
}

/** Maximum number of distinct texts of a categorical column. */
const MOST_CATEGORIES = 50;
/** Steps of the optimizer that a small network needs. */
const STEPS = 4_000;
const MANY_ROWS = 20_000;
const FEW_ROWS = 100;
/** Maximum number of classes that are told apart. */
const MOST_CLASSES = 100;
const TRUE_FALSE: ReadonlySet<string> = new Set(['true', 'false', 'True', 'False', 'TRUE', 'FALSE']);
const LABEL_NAMES = [
  'label',
  'target',
  'y',
  'outcome',
  'class',
  'churn',
  'revenue',
  'converted',
  'clicked',
  'bought',
];
const NEGATIVE = /^(n|no|nein|non|nej|false)$/i;
/** A date or time, whether or not a feature can read it. */
const INSTANT = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}|$)/;

interface Column {
  readonly name: string;
  /** Its name in a request. */
  readonly field: string;
  readonly texts: readonly string[];
  readonly kind: 'number' | 'flag' | 'category' | 'text' | 'time';
  /** Of the non-missing values. */
  readonly distinct: ReadonlyMap<string, number>;
  readonly missing: number;
  readonly numbers: Float64Array;
}

/**
 * Drafts a model.yaml from data: types, ranges, means, categories, the task and the label. Throws RangeError when the
 * table has no rows, no such label, or no column that can be a feature.
 *
 * @param label the column to predict; undefined: one with a usual name of a label, otherwise the last.
 */
export function inferManifest(name: string, table: TextTable, label: string | undefined): InferredManifest {
  if (table.rows.length === 0) throw new RangeError('the file has no rows');
  const fields = fieldNames(table.columns);
  const columns = table.columns.map((column, index) =>
    profile(
      column,
      fields[index] as string,
      table.rows.map((row) => row[index] ?? ''),
    ),
  );
  const target = pickLabel(columns, label);
  const task = taskOf(target);
  const findings: ColumnFinding[] = [];
  const features: Record<string, unknown>[] = [];
  const seen = new Map<string, string>();
  const used: Column[] = [];
  const names = new Set<string>();
  for (const column of columns) {
    if (column === target) continue;
    const finding = problemOf(column, target, seen);
    if (finding) findings.push({ column: column.name, ...finding });
    if (finding && finding.finding !== 'too_many_missing') continue;
    features.push(...featuresOf(column, names));
    used.push(column);
  }
  if (features.length === 0)
    throw new RangeError(`no column can be a feature: ${findings.map(describeFinding).join('; ')}`);
  const labels = [...target.distinct.keys()].sort(negativeFirst);
  const manifest = {
    name,
    task,
    features,
    ...(task === 'multiclass' || (task === 'binary' && !isZeroOne(labels)) ? { decision: { labels } } : {}),
    training: trainingOf(table.rows.length),
  };
  const yaml = `${commentOf(table.rows.length, target.name, findings)}${writeManifest(manifest)}`;
  const example = exampleOf(used, table.rows.length);
  return {
    yaml,
    task,
    label: target.name,
    features: features.map((one) => String(one.name)),
    findings,
    example,
  };
}

/** Enough small steps for a small table, at most as many passes as its size bears; training stops when it learns no more. */
function trainingOf(rows: number): Record<string, unknown> {
  const batch = rows < MANY_ROWS ? 32 : 256;
  const epochs = Math.min(200, Math.max(5, Math.ceil((STEPS * batch) / rows)));
  // Every row of a small table is needed for learning, and for judging.
  const judged = rows < FEW_ROWS ? { data: { folds: 5 } } : { patience: 10 };
  return { optimizer: { adam: { learning_rate: 0.003 } }, epochs, batch, ...judged };
}

/** A comment for the reader of the draft: its source, and the omitted columns. */
function commentOf(rows: number, label: string, findings: readonly ColumnFinding[]): string {
  const lines = [
    `Drafted by \`hotloop features infer\` from ${rows} rows; the label is ${JSON.stringify(label)}.`,
  ];
  const left = findings.filter(({ finding }) => finding !== 'too_many_missing');
  if (left.length > 0)
    lines.push('Left out of the features; add those that are known when a prediction is made:');
  lines.push(...left.map((finding) => `  ${describeFinding(finding)}`));
  return lines.map((line) => `# ${line}\n`).join('');
}

// The name of a column may contain line breaks, which would end the comment.
const describeFinding = ({ column, finding, detail }: ColumnFinding): string =>
  `${JSON.stringify(column)} (${finding}: ${detail.replaceAll(/\s+/g, ' ')})`;

function profile(name: string, field: string, texts: readonly string[]): Column {
  const distinct = new Map<string, number>();
  let missing = 0;
  for (const text of texts)
    if (isAbsent(text)) missing++;
    else distinct.set(text, (distinct.get(text) ?? 0) + 1);
  const values = [...distinct.keys()];
  const isNumeric =
    values.length > 0 && values.every((text) => Number.isFinite(Number(text)) && text.trim() !== '');
  const isFlag = values.length > 0 && values.every((text) => TRUE_FALSE.has(text));
  const isTime = values.length > 0 && values.every((text) => INSTANT.test(text));
  const present = texts.length - missing;
  const kind = isFlag
    ? 'flag'
    : isNumeric
      ? 'number'
      : isTime
        ? 'time'
        : distinct.size <= Math.max(2, Math.min(MOST_CATEGORIES, present / 2))
          ? 'category'
          : 'text';
  const numbers = Float64Array.from(texts, (text) =>
    isAbsent(text) ? Number.NaN : isFlag ? Number(/^t/i.test(text)) : Number(text),
  );
  return { name, field, texts, kind, distinct, missing, numbers };
}

function pickLabel(columns: readonly Column[], wanted: string | undefined): Column {
  const found =
    wanted === undefined
      ? (LABEL_NAMES.flatMap((usual) => columns.find(({ name }) => name.toLowerCase() === usual) ?? [])[0] ??
        columns.at(-1))
      : columns.find(({ name }) => name === wanted);
  if (!found)
    throw new RangeError(
      `there is no column ${JSON.stringify(wanted)}; there are ${columns.map(({ name }) => name).join(', ')}`,
    );
  if (found.distinct.size < 2) throw new RangeError(`the label ${found.name} has fewer than two values`);
  if (found.kind !== 'number' && found.distinct.size > MOST_CLASSES)
    throw new RangeError(
      `the label ${found.name} has ${found.distinct.size} different texts; at most ${MOST_CLASSES} are told apart`,
    );
  return found;
}

function taskOf({ kind, distinct }: Column): InferredManifest['task'] {
  if (distinct.size === 2) return 'binary';
  const isWhole = [...distinct.keys()].every((text) => Number.isInteger(Number(text)));
  return kind === 'number' && (!isWhole || distinct.size > 20) ? 'regression' : 'multiclass';
}

function problemOf(
  column: Column,
  target: Column,
  seen: Map<string, string>,
): Omit<ColumnFinding, 'column'> | undefined {
  const { name, texts, distinct, missing, kind } = column;
  const rows = texts.length;
  if (distinct.size <= 1)
    return {
      finding: 'no_variance',
      detail: distinct.size === 0 ? 'it is empty' : `it is always ${[...distinct.keys()][0]}`,
    };
  if (kind === 'time' && [...distinct.keys()].some((text) => parseRfc3339(text) === null))
    return {
      finding: 'unreadable_time',
      detail: 'times are read with their offset, as in 2026-01-15T12:00:00Z',
    };
  const key = texts.join('\u0000');
  const twin = seen.get(key);
  if (twin !== undefined) return { finding: 'duplicate', detail: `it is the same as ${twin}` };
  seen.set(key, name);
  const leak = leakOf(column, target);
  if (leak !== undefined) return { finding: 'leak', detail: leak };
  const isUnique = distinct.size === rows - missing && rows > 20;
  const isWhole = kind === 'number' && [...distinct.keys()].every((text) => Number.isInteger(Number(text)));
  const averageLength = [...distinct.keys()].reduce((sum, text) => sum + text.length, 0) / distinct.size;
  if (
    isUnique &&
    (isWhole ||
      (kind === 'text' && averageLength < 40 && ![...distinct.keys()].some((text) => text.includes(' '))))
  )
    return { finding: 'id', detail: 'every row has a different value, so a model cannot learn from it' };
  if (missing > rows / 2)
    return {
      finding: 'too_many_missing',
      detail: `${Math.round((100 * missing) / rows)} % of its values are missing`,
    };
  return undefined;
}

/**
 * A column that reveals the label: each of its values occurs with only one label, or it is the label times a number.
 */
function leakOf(column: Column, target: Column): string | undefined {
  if (column.kind === 'number' && target.kind === 'number') {
    const correlation = correlationOf(column.numbers, target.numbers);
    if (Math.abs(correlation) > 0.999)
      return `it is almost proportional to the label (correlation ${correlation.toFixed(4)})`;
  }
  if (column.distinct.size > column.texts.length / 5 || target.distinct.size > 50) return undefined;
  // A measurement may separate the labels by itself; few numbers are the label in other words.
  if (column.kind === 'number' && column.distinct.size > 2 * target.distinct.size) return undefined;
  const labelOf = new Map<string, string>();
  for (const [row, text] of column.texts.entries()) {
    const label = target.texts[row] ?? '';
    const before = labelOf.get(text);
    if (before !== undefined && before !== label) return undefined;
    labelOf.set(text, label);
  }
  return column.texts.length > 20 ? 'each of its values occurs with only one label' : undefined;
}

function correlationOf(a: Float64Array, b: Float64Array): number {
  let [count, sumA, sumB, sumAA, sumBB, sumAB] = [0, 0, 0, 0, 0, 0];
  for (let row = 0; row < a.length; row++) {
    const [x, y] = [a[row] as number, b[row] as number];
    if (Number.isNaN(x) || Number.isNaN(y)) continue;
    count++;
    sumA += x;
    sumB += y;
    sumAA += x * x;
    sumBB += y * y;
    sumAB += x * y;
  }
  const variance = (count * sumAA - sumA * sumA) * (count * sumBB - sumB * sumB);
  return variance > 0 ? (count * sumAB - sumA * sumB) / Math.sqrt(variance) : 0;
}

function featuresOf(column: Column, names: Set<string>): Record<string, unknown>[] {
  const name = column.kind === 'time' ? column.field : uniqueName(column.field, names);
  const from = `request.${column.field}`;
  switch (column.kind) {
    case 'number': {
      const { mean, std, min, max } = statisticsOf(column.numbers);
      const missing = column.missing > 0 ? { missing: rounded(mean) } : {};
      return [
        {
          name,
          from,
          ...missing,
          range: widened(min, max),
          quality: { outside: 'keep' },
          transform: [{ standardize: { mean: rounded(mean), std: rounded(std) || 1 } }],
        },
      ];
    }
    case 'flag':
      return [{ name, from, type: 'flag', ...(column.missing > 0 ? { missing: false } : {}) }];
    case 'category': {
      const categories = [...column.distinct].sort((a, b) => b[1] - a[1]).map(([text]) => text);
      return [
        {
          name,
          from,
          type: 'text',
          ...(column.missing > 0 ? { missing: '' } : {}),
          transform: [{ one_hot: categories }],
        },
      ];
    }
    case 'time':
      return partsOf(column).map((part) => ({
        name: uniqueName(`${column.field}_${part}`, names),
        from,
        type: 'text',
        ...(column.missing > 0
          ? { missing: [...column.distinct.keys()].sort()[column.distinct.size >> 1] }
          : {}),
        transform: [{ time: { part, as: 'cyclic' } }],
      }));
    case 'text':
      return [
        {
          name,
          from,
          type: 'text',
          ...(column.missing > 0 ? { missing: '' } : {}),
          transform: [{ text: { ngrams: [1, 2], buckets: 4096 } }],
        },
      ];
  }
}

/** The parts of its times that differ; the weekday, where none does. */
function partsOf({ distinct }: Column): readonly ('hour' | 'weekday' | 'month')[] {
  const times = [...distinct.keys()].map((text) => new Date(parseRfc3339(text) ?? 0));
  const differs = (part: (time: Date) => number) => new Set(times.map(part)).size > 1;
  const hour = differs((time) => time.getUTCHours());
  const month = differs((time) => time.getUTCMonth());
  return [...(hour ? (['hour'] as const) : []), 'weekday', ...(month ? (['month'] as const) : [])];
}

function exampleOf(columns: readonly Column[], rows: number): Record<string, string | number | boolean> {
  const has = (row: number) => (column: Column) => !isAbsent(column.texts[row] ?? '');
  let row = 0;
  while (row < rows && !columns.every(has(row))) row++;
  if (row === rows) row = 0;
  return Object.fromEntries(
    columns.filter(has(row)).map(({ field, kind, texts }) => {
      const text = texts[row] ?? '';
      return [field, kind === 'number' ? Number(text) : kind === 'flag' ? /^t/i.test(text) : text];
    }),
  );
}

function statisticsOf(numbers: Float64Array): { mean: number; std: number; min: number; max: number } {
  const present = numbers.filter((value) => !Number.isNaN(value));
  let [min, max, sum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (const value of present) {
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
  }
  const mean = sum / present.length;
  const variance = present.reduce((total, value) => total + (value - mean) ** 2, 0) / present.length;
  return { mean, std: Math.sqrt(variance), min, max };
}

/** The range of the values seen, extended by its length on both sides. Values outside are reported, not rejected. */
function widened(min: number, max: number): [number, number] {
  const length = max - min;
  return [rounded(min >= 0 ? Math.max(0, min - length) : min - length), rounded(max + length)];
}

function rounded(value: number): number {
  return Number(value.toPrecision(6));
}

function uniqueName(field: string, names: Set<string>): string {
  let name = field;
  for (let number = 2; names.has(name); number++) name = `${field}_${number}`;
  names.add(name);
  return name;
}

function isZeroOne(labels: readonly string[]): boolean {
  return labels.join() === '0,1';
}

function negativeFirst(a: string, b: string): number {
  const no = Number(NEGATIVE.test(b)) - Number(NEGATIVE.test(a));
  if (no !== 0) return no;
  const difference = Number(a) - Number(b);
  return Number.isNaN(difference) ? (a < b ? -1 : 1) : difference;
}
