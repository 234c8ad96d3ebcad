/** A column of a file as it looks in its first rows. */
export interface Column {
  readonly name: string;
  readonly kind: 'number' | 'category' | 'other';
  /** Distinct texts, the most frequent first; of a category. */
  readonly categories: readonly string[];
  readonly mean: number;
  readonly std: number;
  readonly distinct: number;
}

export interface Table {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
}

const MOST_ROWS = 5_000;
const MOST_CATEGORIES = 20;

/** Reads the first rows of a CSV (RFC 4180: quotes, doubled quotes, line ends of either kind). Pure. */
export function readCsv(text: string): Table {
  const lines = parseCsv(text.replace(/^\uFEFF/, ''), MOST_ROWS + 1);
  const header = lines[0] ?? [];
  const rows = lines.slice(1).filter((row) => row.length === header.length);
  const columns = header.map((name, index) =>
    columnOf(
      name.trim(),
      rows.map((row) => row[index] ?? ''),
    ),
  );
  return { columns, rows };
}

function parseCsv(text: string, most: number): string[][] {
  const lines: string[][] = [];
  let [line, field, quoted]: [string[], string, boolean] = [[], '', false];
  for (let at = 0; at < text.length && lines.length < most; at++) {
    const sign = text[at];
    if (quoted) {
      if (sign !== '"') field += sign;
      else if (text[at + 1] === '"') {
        field += '"';
        at++;
      } else quoted = false;
    } else if (sign === '"') quoted = true;
    else if (sign === ',') {
      line.push(field);
      field = '';
    } else if (sign === '\n') {
      line.push(field.replace(/\r$/, ''));
      if (line.length > 1 || line[0] !== '') lines.push(line);
      [line, field] = [[], ''];
    } else field += sign;
  }
  if ((field !== '' || line.length > 0) && lines.length < most) lines.push([...line, field]);
  return lines;
}

function columnOf(name: string, values: readonly string[]): Column {
  const present = values.filter((value) => value !== '');
  const numbers = present.map(Number);
  const counts = new Map<string, number>();
  for (const value of present) counts.set(value, (counts.get(value) ?? 0) + 1);
  const isNumber = present.length > 0 && numbers.every(Number.isFinite);
  const mean = isNumber ? numbers.reduce((sum, value) => sum + value, 0) / numbers.length : 0;
  const variance = isNumber
    ? numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0) / numbers.length
    : 0;
  const categories = [...counts].sort((a, b) => b[1] - a[1]).map(([value]) => value);
  const kind = isNumber
    ? 'number'
    : categories.length <= MOST_CATEGORIES && categories.length > 0
      ? 'category'
      : 'other';
  return {
    ...{ name, kind, mean, std: Math.sqrt(variance), distinct: counts.size },
    categories: categories.slice(0, MOST_CATEGORIES),
  };
}

/** What can be predicted from the label's values. */
export function taskOf(label: Column): 'binary' | 'regression' | 'multiclass' | null {
  if (label.distinct === 2) return 'binary';
  if (label.kind === 'number') return 'regression';
  return label.kind === 'category' && label.distinct > 2 ? 'multiclass' : null;
}

/** model.yaml for a table: every column but the label is a field of the request. Pure. */
export function manifestOf(name: string, table: Table, label: Column): string {
  const task = taskOf(label);
  const labels =
    label.kind === 'category'
      ? `decision: {labels: [${label.categories.toSorted().map(quote).join(', ')}]}\n`
      : '';
  return `name: ${name}
task: ${task}
features:
${featuresOf(table, label)
  .map((column) => `  - ${featureOf(column)}`)
  .join('\n')}
${labels}outcome: {from: sdk}
`;
}

/** The columns that a model can read; others are left out. */
export function featuresOf({ columns }: Table, label: Column): readonly Column[] {
  return columns.filter(
    (column) =>
      column !== label && column.kind !== 'other' && column.distinct > 1 && fieldName(column.name) !== '',
  );
}

function featureOf(column: Column): string {
  const head = `name: ${fieldName(column.name)}, from: ${quote(`request.${column.name}`)}`;
  if (column.kind === 'category')
    return `{${head}, missing: ${quote(column.categories[0] ?? '')}, transform: [{one_hot: [${column.categories.map(quote).join(', ')}]}]}`;
  const standard = `{standardize: {mean: ${tidy(column.mean)}, std: ${tidy(column.std) || 1}}}`;
  return `{${head}, missing: ${tidy(column.mean)}, transform: [${standard}]}`;
}

export function fieldName(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]+/g, '_')
    .replaceAll(/^[_0-9]+|_+$/g, '')
    .slice(0, 60);
}

function tidy(value: number): number {
  return Number(value.toPrecision(6));
}

function quote(text: string): string {
  return JSON.stringify(text);
}
