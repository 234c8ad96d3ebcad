import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { labelValue } from '../datasets/labelled-rows.ts';
import type { TableRow } from '../datasets/read-table.ts';
import { type OutcomeDependencies, type OutcomeRequest, recordOutcomes } from './record-outcomes.ts';

const BATCH = 1_000;
const MOST_PROBLEMS = 20;

export interface OutcomeFile {
  readonly sha256: string;
  /** The column with the outcome's value. */
  readonly label: string;
  /** The column with the time, in RFC 3339; null if there is none. */
  readonly at: string | null;
}

export interface ImportedOutcomes {
  readonly accepted: number;
  /** Rows that were already reported; a file that is sent twice counts once. */
  readonly duplicates: number;
  readonly refused: number;
  /** The first refused rows, with their lines. */
  readonly problems: readonly string[];
}

/**
 * Reports a file of outcomes that name predictions (`prediction_id`; `item` for a candidate of a ranking). A row's id is its column `id`,
 * else the file's digest and the line. Invalid rows are reported with their line; the others are accepted.
 */
export async function importOutcomes(
  rows: AsyncIterable<TableRow>,
  manifest: Manifest,
  file: OutcomeFile,
  dependencies: OutcomeDependencies,
): Promise<ImportedOutcomes> {
  const totals = { accepted: 0, duplicates: 0, refused: 0 };
  const problems: string[] = [];
  const refuse = (line: number, message: string) => {
    totals.refused++;
    if (problems.length < MOST_PROBLEMS) problems.push(`line ${line}: ${message}`);
  };
  let batch: { readonly line: number; readonly request: OutcomeRequest }[] = [];
  const send = async () => {
    const verdicts = await recordOutcomes(
      batch.map(({ request }) => request),
      dependencies,
    );
    for (const [index, { status, error }] of verdicts.entries()) {
      if (status === 'accepted') totals.accepted++;
      else if (status === 'duplicate') totals.duplicates++;
      else refuse(batch[index]!.line, error?.message ?? 'it cannot be used');
    }
    batch = [];
  };
  for await (const { line, cells } of rows) {
    const cell = cells[file.label] ?? null;
    if (cell === null) {
      refuse(line, `${file.label} is empty`);
      continue;
    }
    const text = (name: string) =>
      cells[name] === null || cells[name] === undefined ? '' : String(cells[name]);
    const item = text('item');
    const id = text('id');
    batch.push({
      line,
      request: {
        model: manifest.name,
        report: {
          id: id === '' ? `${file.sha256.slice(0, 32)}:${line}` : id,
          source: 'import',
          kind: 'label',
          predictionId: text('prediction_id'),
          keys: item === '' ? {} : { item },
          value: labelValue(cell, manifest),
          attributes: {},
          occurredAt: file.at === null ? '' : text(file.at),
        },
      },
    });
    if (batch.length >= BATCH) await send();
  }
  if (batch.length > 0) await send();
  return { ...totals, problems };
}
