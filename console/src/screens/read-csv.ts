/** A column of a file as it looks in its first rows. */
export interface Column {
  /** A name that a field of a request may have, made from the title, unlike that of any other column. */
  readonly name: string;
  /** As the file says. */
  readonly title: string;
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
  /** Where the rows begin, after the header, in characters. */
  readonly rowsAt: number;
}

/** How much of a file is looked at. */
export const HEAD_BYTES = 4 << 20;
const MOST_ROWS = 5_000;
const MOST_CATEGORIES = 20;

/** Reads the first rows of a CSV (RFC 4180: quotes, doubled quotes, line ends of either kind). Pure. */
export function readCsv(text: string): Table {
  const { lines, rowsAt } = parseCsv(text, MOST_ROWS + 1);
  const titles = (lines[0] ?? []).map((title) => title.replace(/^\uFEFF/, '').trim());
  const rows = lines.slice(1).filter((row) => row.length === titles.length);
  const names = fieldNames(titles);
  const columns = titles.map((title, index) =>
    columnOf(
      names[index] ?? '',
      title,
      rows.map((row) => row[index] ?? ''),
    ),
  );
  return { columns, rows, rowsAt };
}

const LEAST_ROWS = 20;

/** Why nothing can be learnt from a file; empty when something can. Pure. */
export function problemOf({ columns, rows }: Table): string {
  const [first, ...others] = columns;
  if (!first || /\0|\uFFFD/.test(first.title)) return 'This is no CSV: a text file in UTF-8 is needed.';
  const divider = [';', '\t', '|'].find((sign) => others.length === 0 && first.title.includes(sign));
  if (divider !== undefined)
    return `Columns must be divided by commas; this file has ${divider === '\t' ? 'tabs' : divider}. Save it as CSV with commas.`;
  if (others.length === 0)
    return 'At least two columns are needed: what to predict, and what to predict it from.';
  if (rows.length < LEAST_ROWS)
    return `At least ${LEAST_ROWS} rows are needed, each with ${columns.length} values as in the header; this file has ${rows.length}.`;
  return '';
}

/** The same file with names in its header that fields of a request may have. */
export async function withFieldNames(file: Blob, text: string, { columns, rowsAt }: Table): Promise<Blob> {
  const header = `${columns.map(({ name }) => name).join(',')}\n`;
  // A BOM is three bytes of the file and no character of its text.
  const [first, second, third] = new Uint8Array(await file.slice(0, 3).arrayBuffer());
  const bom = first === 0xef && second === 0xbb && third === 0xbf ? 3 : 0;
  return new Blob([header, file.slice(bom + new TextEncoder().encode(text.slice(0, rowsAt)).length)]);
}

function parseCsv(text: string, most: number): { readonly lines: string[][]; readonly rowsAt: number } {
  let rowsAt = text.length;
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
      if (lines.length === 1 && rowsAt === text.length) rowsAt = at + 1;
      [line, field] = [[], ''];
    } else field += sign;
  }
  if ((field !== '' || line.length > 0) && lines.length < most) lines.push([...line, field]);
  return { lines, rowsAt };
}

function columnOf(name: string, title: string, values: readonly string[]): Column {
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
    ? isRowNumber(title, numbers, counts.size)
      ? 'other'
      : 'number'
    : categories.length <= MOST_CATEGORIES && categories.length > 0
      ? 'category'
      : 'other';
  return {
    ...{ name, title, kind, mean, std: Math.sqrt(variance), distinct: counts.size },
    categories: categories.slice(0, MOST_CATEGORIES),
  };
}

/** A number that only tells rows apart says nothing about the next row. */
function isRowNumber(title: string, numbers: readonly number[], distinct: number): boolean {
  return (
    /^(.*[\s_.-])?(id|index|row|no|nr|number)$/i.test(title) &&
    distinct === numbers.length &&
    numbers.every(Number.isInteger)
  );
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
  return columns.filter((column) => column !== label && column.kind !== 'other' && column.distinct > 1);
}

/** Fields of a first request: the first row in which none of them is missing. Pure. */
export function requestOf(table: Table, label: Column): Record<string, string | number> {
  const features = featuresOf(table, label);
  const cellOf = (row: readonly string[], column: Column) => row[table.columns.indexOf(column)] ?? '';
  const row =
    table.rows.find((each) => features.every((column) => cellOf(each, column) !== '')) ?? table.rows[0] ?? [];
  return Object.fromEntries(
    features
      .filter((column) => cellOf(row, column) !== '')
      .map((column) => [
        column.name,
        column.kind === 'number' ? Number(cellOf(row, column)) : cellOf(row, column),
      ]),
  );
}

function featureOf(column: Column): string {
  const head = `name: ${column.name}, from: request.${column.name}`;
  if (column.kind === 'category')
    return `{${head}, missing: ${quote(column.categories[0] ?? '')}, transform: [{one_hot: [${column.categories.map(quote).join(', ')}]}]}`;
  const standard = `{standardize: {mean: ${tidy(column.mean)}, std: ${tidy(column.std) || 1}}}`;
  return `{${head}, missing: ${tidy(column.mean)}, transform: [${standard}]}`;
}

/** Names in lower case, with underscores, each one once. Pure. */
export function fieldNames(titles: readonly string[]): readonly string[] {
  const taken = new Set<string>();
  return titles.map((title, index) => {
    const name =
      title
        .toLowerCase()
        .replaceAll(/[^a-z0-9_]+/g, '_')
        .replaceAll(/^[_0-9]+|_+$/g, '')
        .slice(0, 56) || `column_${index + 1}`;
    let unique = name;
    for (let next = 2; taken.has(unique); next++) unique = `${name}_${next}`;
    taken.add(unique);
    return unique;
  });
}

function tidy(value: number): number {
  return Number(value.toPrecision(6));
}

function quote(text: string): string {
  return JSON.stringify(text);
}
