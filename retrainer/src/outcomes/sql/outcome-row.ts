import type { AttributeValue } from '@hotloop/model/value.ts';
import type { OutsideRow } from '@hotloop/platform/postgres/outside-rows.ts';
import type { ReportedOutcome } from '../accept-outcome.ts';

/**
 * Reads a row of the declared query as an outcome. `prediction_id`, `value`, `kind` and `occurred_at` have their usual
 * meanings; join keys are columns with their names; all scalar columns are attributes for `positive` and `label`. Without
 * `occurred_at`, the watermark is used as its time if it is one. The report's id consists of the row's id and watermark, so a
 * changed row counts again, and a row that is read twice does not. Pure.
 */
export function outcomeOfRow(row: OutsideRow, watermark: string, source: string): ReportedOutcome {
  const { cells } = row;
  const keys: Record<string, string> = Object.create(null);
  const attributes: Record<string, AttributeValue> = Object.create(null);
  for (const [name, cell] of Object.entries(cells)) {
    if (typeof cell === 'string' || typeof cell === 'number' || typeof cell === 'boolean') {
      keys[name] = String(cell);
      attributes[name] = cell;
    } else if (isList(cell)) attributes[name] = cell;
  }
  const value = cells.value ?? null;
  return {
    id: `${row.id}@${row.watermark}`,
    source,
    kind: typeof cells.kind === 'string' ? cells.kind : '',
    predictionId: typeof cells.prediction_id === 'string' ? cells.prediction_id : '',
    keys,
    value: isScalar(value) || isList(value) ? value : null,
    attributes,
    occurredAt: timeOf(cells.occurred_at) || timeOf(cells[watermark]),
  };
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function isList(value: unknown): value is string[] | number[] {
  if (!Array.isArray(value)) return false;
  return (
    value.every((entry) => typeof entry === 'number') || value.every((entry) => typeof entry === 'string')
  );
}

/** A time in Postgres' JSON as RFC 3339, UTC if it has no zone. Empty for anything else. */
function timeOf(cell: unknown): string {
  if (typeof cell !== 'string') return '';
  if (/^\d{4}-\d\d-\d\d$/.test(cell)) return `${cell}T00:00:00Z`;
  if (!/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d/.test(cell)) return '';
  return /(Z|[+-]\d\d(:?\d\d)?)$/.test(cell) ? cell : `${cell}Z`;
}
