import { ParquetWriter } from '@hotloop/platform/parquet/parquet-file.ts';
import type { ExportedPrediction } from './export-predictions.ts';

const COLUMNS = [
  ['prediction_id', (row) => row.predictionId],
  ['at', (row) => new Date(row.at).toISOString()],
  ['version', (row) => row.version],
  ['variant', (row) => row.variant],
  ['predicted', (row) => row.predicted],
  ['score', (row) => row.score ?? ''],
  ['entities', (row) => row.entities],
  ['outcome', (row) => row.outcome],
  ['suspected', (row) => row.suspected],
  // For the analyst: a file with this column filled in is an upload of corrections.
  ['label', () => ''],
  ['note', () => ''],
] as const satisfies readonly (readonly [string, (row: ExportedPrediction) => string | number])[];

/**
 * CSV as spreadsheets read it. A text that a spreadsheet would take for a formula gets an apostrophe before it
 * (https://owasp.org/www-community/attacks/CSV_Injection). Pure.
 */
export function csvOfPredictions(rows: readonly ExportedPrediction[]): string {
  const lines = rows.map((row) => COLUMNS.map(([, read]) => csvCell(read(row))).join(','));
  return `${[COLUMNS.map(([name]) => name).join(','), ...lines].join('\r\n')}\r\n`;
}

export function csvCell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** The same rows as Parquet, at a path that must not exist. */
export async function writePredictions(rows: readonly ExportedPrediction[], path: string): Promise<void> {
  await using writer = await ParquetWriter.create(path, [
    { name: 'prediction_id', type: 'text' },
    { name: 'at', type: 'timestamp' },
    { name: 'version', type: 'int32' },
    { name: 'variant', type: 'text' },
    { name: 'predicted', type: 'text' },
    { name: 'score', type: 'float' },
    { name: 'entities', type: 'text' },
    { name: 'outcome', type: 'text' },
    { name: 'suspected', type: 'text' },
  ]);
  if (rows.length > 0)
    await writer.writeGroup([
      rows.map((row) => row.predictionId),
      Float64Array.from(rows, (row) => row.at),
      Int32Array.from(rows, (row) => row.version),
      rows.map((row) => row.variant),
      rows.map((row) => row.predicted),
      Float32Array.from(rows, (row) => row.score ?? Number.NaN),
      rows.map((row) => row.entities),
      rows.map((row) => row.outcome),
      rows.map((row) => row.suspected),
    ]);
  await writer.finish({});
}
