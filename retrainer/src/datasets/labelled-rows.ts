import { type CompiledFeature, compileFeatures } from '@hotloop/model/features/compile-feature.ts';
import { NO_EVENTS } from '@hotloop/model/features/event-list.ts';
import {
  compileFeaturePlan,
  type FeatureInput,
  type FeatureRows,
  type HistoryAnswers,
} from '@hotloop/model/features/feature-plan.ts';
import { flatRows, rowInputs, type TextTable } from '@hotloop/model/features/flat-rows.ts';
import type { HistoryRead } from '@hotloop/model/features/history.ts';
import { isAbsent } from '@hotloop/model/manifest/absent.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import { fieldNames } from '@hotloop/model/manifest/field-names.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { type LabelRule, labelRule } from '@hotloop/model/outcome/label-rule.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { parseRfc3339 } from '@hotloop/proto/rfc3339.ts';
import type { Cell, TableRow } from './read-table.ts';

/** A row of a file as a request with its label. */
export interface LabelledRow {
  readonly line: number;
  readonly input: FeatureInput;
  readonly label: number;
  /** Milliseconds since 1970; null without a column of times. */
  readonly at: number | null;
}

/** Turns rows of a file into vectors and labels of a model, by the plan that serves it. */
export interface RowReader {
  /** The event types that features look at. */
  readonly eventTypes: readonly string[];
  /** Throws INVALID_ARGUMENT naming the line and the column. */
  parse(row: TableRow): LabelledRow;
  /** What is read from the history for a row; empty when no feature comes from it. */
  reads(row: LabelledRow): readonly HistoryRead[];
  /**
   * The columns of all inputs. `history`: the answers to `reads`; `texts`: where the texts of text inputs are kept. Throws
   * INVALID_ARGUMENT naming the line and the feature.
   */
  vector(row: LabelledRow, history: NonNullable<HistoryAnswers>, texts: TextTable): Float32Array;
}

export interface LabelledColumns {
  /** The column that holds the label. */
  readonly label: string;
  /** The column that holds the time of the row, in RFC 3339; null where there is none. */
  readonly at: string | null;
}

/**
 * A feature reads the column that is named as the field of its source (`request.price` reads `price`), or else as the feature, or
 * else whose title gives that field (`request.List_price` reads `List price`). `NA`, `null` and the like are missing numbers. An
 * entity is read from the column of its name. A ranking model reads one candidate a row: its id from the column `item`, its attributes
 * from the columns of their names. Throws FAILED_PRECONDITION for a model without features.
 */
export function labelledRowReader(manifest: Manifest, columns: LabelledColumns): RowReader {
  if (manifest.task === 'tensor')
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name} has task tensor: rows of a file cannot become its tensors`,
      { reason: 'no_rows_from_files' },
    );
  const ranking = manifest.task === 'ranking';
  const plan = compileFeaturePlan(withoutExclude(manifest));
  const features = compileFeatures(manifest.features, ranking);
  const flat = flattener(manifest);
  const rule = labelRule(manifest);
  const entityNames = new Set(
    features.flatMap(({ source }) => source.history?.entity ?? source.reference?.entity ?? []),
  );
  const titleOf = titles();
  const ofLine = <T>(line: number, run: () => T): T => {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof HotloopError)) throw error;
      throw new HotloopError(error.code, `line ${line}: ${error.message}`, {
        reason: 'invalid_row',
        cause: error,
      });
    }
  };
  return {
    eventTypes: [...new Set(features.flatMap(({ source }) => source.history?.event ?? []))],
    parse: ({ line, cells }) =>
      ofLine(line, () => ({
        line,
        input: inputOf(features, entityNames, cells, ranking, titleOf),
        label: labelOf(cells, columns.label, rule, manifest),
        at: timeOf(cells, columns.at),
      })),
    reads: ({ input, at }) => (plan.needsHistory ? plan.reads(input, at ?? 0) : []),
    vector: ({ line, input, at }, history, texts) =>
      ofLine(line, () => flat(plan.run(input, history, at ?? 0), texts)),
  };
}

/** Throws INVALID_ARGUMENT for an integer that a dataset cannot hold. */
function flattener(manifest: Manifest): (served: FeatureRows, texts: TextTable) => Float32Array {
  const inputs = rowInputs(columnsOf(manifest), manifest.input);
  return (served, texts) => {
    const rows = flatRows(inputs, served, texts);
    if (rows === null)
      throw new HotloopError('INVALID_ARGUMENT', 'a whole number is beyond 2^24; datasets hold none such', {
        reason: 'invalid_row',
      });
    return rows;
  };
}

/** Turns the features of one example into its vector, by the plan that serves it. Throws INVALID_ARGUMENT naming the column. */
export function exampleReader(
  manifest: Manifest,
  texts: TextTable,
): (cells: Readonly<Record<string, Cell>>) => Float32Array {
  const flat = flattener(manifest);
  const plan = compileFeaturePlan(manifest);
  const features = compileFeatures(manifest.features, false);
  const titleOf = titles();
  return (cells) => {
    const input = inputOf(features, NO_ENTITIES, cells, false, titleOf);
    const history = plan.needsHistory ? plan.reads(input, 0).map(() => NO_EVENTS) : null;
    return flat(plan.run(input, history, 0), texts);
  };
}

const NO_ENTITIES: ReadonlySet<string> = new Set();

/** What a decision leaves out makes no difference to a row of features. */
function withoutExclude(manifest: Manifest): Manifest {
  const { rank } = manifest.decision;
  if (rank === undefined) return manifest;
  const { exclude: _, ...rest } = rank;
  return { ...manifest, decision: { ...manifest.decision, rank: rest } };
}

function inputOf(
  features: readonly CompiledFeature[],
  entityNames: ReadonlySet<string>,
  cells: Readonly<Record<string, Cell>>,
  ranking: boolean,
  titleOf: ReturnType<typeof titles>,
): FeatureInput {
  const request: Record<string, AttributeValue> = Object.create(null);
  const attributes: Record<string, AttributeValue> = Object.create(null);
  const entities: Record<string, string> = Object.create(null);
  for (const name of entityNames) {
    const cell = cells[name];
    if (cell !== undefined && cell !== null) entities[name] = String(cell);
  }
  for (const feature of features) {
    const [kind, field = ''] = feature.from.split('.');
    const column = field in cells ? field : feature.name in cells ? feature.name : titleOf(cells, field);
    if (column === undefined) continue;
    const cell = cells[column]!;
    if (cell === null) continue;
    if (typeof cell === 'string' && feature.type !== 'text' && isAbsent(cell)) continue;
    if (kind === 'entity') entities[field] = String(cell);
    else if (kind === 'request') request[field] = typed(cell, feature, column);
    else if (kind === 'item') attributes[field] = typed(cell, feature, column);
  }
  if (!ranking) return { request, entities, candidates: [] };
  const item = cells.item;
  if (item === undefined || item === null)
    throw invalid('item', 'is empty; a row of a ranking model names its candidate there');
  return { request, entities, candidates: [{ id: String(item), attributes }] };
}

type Cells = Readonly<Record<string, Cell>>;

/** Finds the column whose title gives a field. Rows of one file have the same columns, so these are looked at once. */
function titles(): (cells: Cells, field: string) => string | undefined {
  let known: { readonly columns: string; readonly titles: ReadonlyMap<string, string> } | undefined;
  return (cells, field) => {
    const names = Object.keys(cells);
    const columns = names.join('\0');
    if (known?.columns !== columns) {
      const fields = fieldNames(names);
      known = { columns, titles: new Map(names.map((name, index) => [fields[index] ?? name, name])) };
    }
    return known.titles.get(field);
  };
}

/** CSV has texts alone: they become what the feature asks for. */
function typed(cell: Exclude<Cell, null>, { type }: CompiledFeature, column: string): AttributeValue {
  switch (type) {
    case 'number': {
      const number =
        typeof cell === 'string' ? (cell.trim() === '' ? Number.NaN : Number(cell)) : Number(cell);
      if (Number.isNaN(number)) throw invalid(column, `must be a number, not ${JSON.stringify(cell)}`);
      return number;
    }
    case 'flag': {
      if (typeof cell === 'boolean') return cell;
      const text = String(cell).toLowerCase();
      if (text === 'true' || text === '1') return true;
      if (text === 'false' || text === '0') return false;
      throw invalid(column, `must be true or false, not ${JSON.stringify(cell)}`);
    }
    case 'texts':
      return String(cell)
        .split('|')
        .map((part) => part.trim());
    case 'text':
      return String(cell);
    case 'image':
      throw invalid(column, 'is a picture, which files of examples cannot hold');
  }
}

function labelOf(
  cells: Readonly<Record<string, Cell>>,
  column: string,
  rule: LabelRule,
  manifest: Manifest,
): number {
  const cell = cells[column];
  if (cell === undefined) {
    const names = Object.keys(cells).slice(0, 20).join(', ');
    throw invalid(column, `is no column of the file; it has ${names}`);
  }
  if (cell === null) throw invalid(column, 'is empty; every row needs a label');
  const label = rule.labelOf({ value: labelValue(cell, manifest), attributes: {} });
  if (label === null) throw invalid(column, 'gives no label');
  return label;
}

/** Labels of classes stay texts; where numbers or flags are asked for, a text is read as one. */
export function labelValue(cell: Exclude<Cell, null>, manifest: Manifest): AttributeValue {
  if (typeof cell !== 'string') return cell;
  if (manifest.decision.labels?.includes(cell)) return cell;
  const text = cell.trim().toLowerCase();
  if (manifest.task !== 'regression' && (text === 'true' || text === 'false')) return text === 'true';
  return text !== '' && Number.isFinite(Number(text)) ? Number(text) : cell;
}

function timeOf(cells: Readonly<Record<string, Cell>>, column: string | null): number | null {
  if (column === null) return null;
  const cell = cells[column];
  const at = typeof cell === 'string' ? parseRfc3339(cell) : null;
  if (at === null)
    throw invalid(column, `must be a time of RFC 3339 with its offset, not ${JSON.stringify(cell ?? null)}`);
  return at;
}

function invalid(column: string, problem: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `${column} ${problem}`, { reason: 'invalid_row' });
}
