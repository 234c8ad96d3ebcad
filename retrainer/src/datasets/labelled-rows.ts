import { type CompiledFeature, compileFeatures } from '@hotloop/model/features/compile-feature.ts';
import {
  compileFeaturePlan,
  type FeatureInput,
  type FeaturePlan,
} from '@hotloop/model/features/feature-plan.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { type LabelRule, labelRule } from '@hotloop/model/outcome/label-rule.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { parseRfc3339 } from '@hotloop/proto/rfc3339.ts';
import type { Cell, TableRow } from './read-table.ts';

/** Turns rows of a file into vectors and labels of a model, by the plan that serves it. */
export interface RowReader {
  /** Throws INVALID_ARGUMENT naming the line and the column. */
  read(row: TableRow): { readonly vector: Float32Array; readonly label: number; readonly at: number | null };
}

export interface LabelledColumns {
  /** The column that holds the label. */
  readonly label: string;
  /** The column that holds the time of the row, in RFC 3339; null where there is none. */
  readonly at: string | null;
}

/**
 * A feature reads the column that is named as the field of its source (`request.price` reads `price`), or else as the feature.
 * Sources that a file does not have, such as history, take their missing value. Throws FAILED_PRECONDITION for a ranking model,
 * whose rows are candidates.
 */
export function labelledRowReader(manifest: Manifest, columns: LabelledColumns): RowReader {
  if (manifest.task === 'ranking' || manifest.task === 'tensor')
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name} has task ${manifest.task}: rows of a file have no candidates; report outcomes instead`,
      { reason: 'no_rows_from_files' },
    );
  const plan = compileFeaturePlan(manifest);
  const features = compileFeatures(manifest.features, false);
  const rule = labelRule(manifest);
  return {
    read: ({ line, cells }) => {
      try {
        const at = timeOf(cells, columns.at);
        return {
          vector: vectorOf(plan, features, cells, at ?? 0),
          label: labelOf(cells, columns.label, rule, manifest),
          at,
        };
      } catch (error) {
        if (!(error instanceof HotloopError)) throw error;
        throw new HotloopError(error.code, `line ${line}: ${error.message}`, {
          reason: 'invalid_row',
          cause: error,
        });
      }
    },
  };
}

/** Turns the features of one example into its vector, by the plan that serves it. Throws INVALID_ARGUMENT naming the column. */
export function exampleReader(manifest: Manifest): (cells: Readonly<Record<string, Cell>>) => Float32Array {
  const plan = compileFeaturePlan(manifest);
  const features = compileFeatures(manifest.features, false);
  return (cells) => vectorOf(plan, features, cells, 0);
}

function vectorOf(
  plan: FeaturePlan,
  features: readonly CompiledFeature[],
  cells: Readonly<Record<string, Cell>>,
  at: number,
): Float32Array {
  const request: Record<string, AttributeValue> = Object.create(null);
  const entities: Record<string, string> = Object.create(null);
  for (const feature of features) {
    const [kind, field = ''] = feature.from.split('.');
    const column = field in cells ? field : feature.name in cells ? feature.name : undefined;
    if (column === undefined) continue;
    const cell = cells[column]!;
    if (cell === null) continue;
    if (kind === 'entity') entities[field] = String(cell);
    else if (kind === 'request') request[field] = typed(cell, feature, column);
  }
  const input: FeatureInput = { request, entities, candidates: [] };
  const history = plan.needsHistory ? plan.reads(input, at).map(() => []) : null;
  const rows = plan.run(input, history, at);
  return new Float32Array(new Uint8Array(rows.features).buffer);
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
