import { createHash, randomUUID } from 'node:crypto';
import { NO_EVENTS } from '@hotloop/model/features/event-list.ts';
import { TextTable } from '@hotloop/model/features/flat-rows.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { labelRule } from '@hotloop/model/outcome/label-rule.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import { fromPostgresError, type Pool, transaction } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { isPredictionId } from '@hotloop/proto/prediction-id.ts';
import { labelledRowReader, labelValue } from '../../datasets/labelled-rows.ts';
import { type Cell, readTable, type TableRow } from '../../datasets/read-table.ts';
import { type CorrectionUpload, findUpload } from './correction-store.ts';

const MOST_ROWS = 1_000_000;
/** Characters of ids, features and notes of one upload, which is held in memory until it is stored. */
const MOST_CHARACTERS = 200_000_000;
const MOST_PROBLEMS = 100;
const BATCH = 1_000;

interface Correction {
  readonly line: number;
  /** Null if the row gives the features of an example instead. */
  readonly predictionId: string | null;
  readonly features: Readonly<Record<string, Cell>> | null;
  readonly item: string | null;
  readonly value: AttributeValue;
  readonly label: number;
  readonly note: string;
  state: 'staged' | 'contradicted';
}

export interface UploadSource {
  readonly by: string;
  readonly fileSha256: string;
  readonly note: string;
}

/**
 * Validates a file of corrections (columns label and prediction_id, or the model's features; optionally item and note) and stages
 * the valid rows. They count only after approval. Rows without a label are skipped. Each refused row is reported with its line:
 * unknown or malformed ids, labels outside the task's domain, duplicates. Rows of the file that contradict each other are kept and
 * marked; none of them will count.
 */
export async function stageCorrections(
  rows: AsyncIterable<{ readonly line: number; readonly cells: Readonly<Record<string, Cell>> }>,
  manifest: Manifest,
  source: UploadSource,
  pool: Pool,
): Promise<CorrectionUpload> {
  const rule = labelRule(manifest);
  const problems: { line: number; problem: string }[] = [];
  let refused = 0;
  let total = 0;
  let skipped = 0;
  let characters = 0;
  const refuse = (line: number, problem: string) => {
    refused++;
    if (problems.length < MOST_PROBLEMS) problems.push({ line, problem });
  };
  const example = exampleReader(manifest);
  const byRow = new Map<string, Correction>();
  const corrections: Correction[] = [];
  for await (const { line, cells } of rows) {
    // An exported row that was not labelled.
    if ('label' in cells && (cells.label ?? null) === null) {
      skipped++;
      continue;
    }
    if (++total > MOST_ROWS)
      throw new HotloopError(
        'INVALID_ARGUMENT',
        `line ${line}: at most ${MOST_ROWS} corrections fit one upload; divide the file`,
        { reason: 'too_many_corrections' },
      );
    const labelOf = (value: AttributeValue) => rule.labelOf({ value, attributes: {} });
    const read = readCorrection({ line, cells }, manifest, labelOf, example);
    if (typeof read === 'string') {
      refuse(line, read);
      continue;
    }
    const told = JSON.stringify([read.predictionId, read.features, read.item]);
    characters += told.length + read.note.length + String(read.value).length;
    if (characters > MOST_CHARACTERS)
      throw new HotloopError(
        'INVALID_ARGUMENT',
        `line ${line}: the rows up to here have more than ${MOST_CHARACTERS} characters; divide the file, or leave out columns of texts`,
        { reason: 'too_many_corrections' },
      );
    const key = createHash('sha256').update(told).digest('base64');
    const earlier = byRow.get(key);
    if (earlier && earlier.label === read.label) {
      refuse(line, `says the same as line ${earlier.line}`);
      continue;
    }
    if (earlier) {
      earlier.state = 'contradicted';
      read.state = 'contradicted';
      if (problems.length < MOST_PROBLEMS)
        problems.push({ line, problem: `contradicts line ${earlier.line}: neither counts` });
    } else byRow.set(key, read);
    corrections.push(read);
  }
  if (total === 0)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `none of the ${skipped} rows has a label: fill in the column label where you know better`,
      { reason: 'no_labels' },
    );
  const known = await knownOnes(corrections, manifest.name, pool);
  const usable = corrections.filter((one) => {
    if (one.predictionId === null || known.has(one.predictionId)) return true;
    refuse(one.line, `prediction ${one.predictionId} is not known for model ${manifest.name}`);
    return false;
  });
  const uploadId = randomUUID();
  await store(uploadId, manifest.name, source, { total, refused, problems, usable }, pool);
  return findUpload(pool, uploadId);
}

/** One correction, or the reason why it is refused. */
function readCorrection(
  { line, cells }: TableRow,
  manifest: Manifest,
  labelOf: (value: AttributeValue) => number | null,
  example: ExampleReader | null,
): Correction | string {
  const id = String(cells.prediction_id ?? '').toLowerCase();
  const named = id !== '';
  if (named && !isPredictionId(id)) return 'prediction_id must be a prediction id as Predict returns it';
  if (!named && example === null) return 'prediction_id is missing, and the file has no column of a feature';
  const cell = cells.label ?? null;
  if (cell === null) return 'there is no label';
  try {
    const value = labelValue(cell, manifest);
    const label = labelOf(value);
    if (label === null) return 'label gives no label';
    const item = cells.item ?? null;
    const features = named ? null : example!({ line, cells });
    const note = String(cells.note ?? '').slice(0, 500);
    return {
      line,
      predictionId: named ? id : null,
      features,
      item: item === null ? null : String(item),
      value,
      label,
      note,
      state: 'staged',
    };
  } catch (error) {
    if (error instanceof HotloopError) return error.message;
    throw error;
  }
}

type ExampleReader = (row: TableRow) => Readonly<Record<string, Cell>>;

/**
 * Reads the cells of the features, and checks that the plan can compute them. Null for tasks in which one row is not a
 * complete example. Throws INVALID_ARGUMENT naming the column.
 */
function exampleReader(manifest: Manifest): ExampleReader | null {
  if (manifest.task === 'ranking' || manifest.task === 'tensor') return null;
  const fields = fieldsOf(manifest);
  const reader = labelledRowReader(manifest, { label: 'label', at: null });
  return (row) => {
    const own = fields.filter((name) => (row.cells[name] ?? null) !== null);
    if (own.length === 0)
      throw new HotloopError('INVALID_ARGUMENT', `no feature of model ${manifest.name} has a value`);
    const example = reader.parse(row);
    reader.vector(
      example,
      reader.reads(example).map(() => NO_EVENTS),
      new TextTable(),
    );
    return Object.fromEntries(own.map((name) => [name, row.cells[name] ?? null]));
  };
}

/** The column of each feature in a file: the field of its source, or its name. */
function fieldsOf(manifest: Manifest): string[] {
  const fields = manifest.features.flatMap((feature) => {
    const [, field = ''] = 'from' in feature ? String(feature.from).split('.') : [];
    return [field, feature.name].filter((name) => name !== '' && name !== 'label');
  });
  return [...new Set(fields)];
}

async function knownOnes(
  corrections: readonly Correction[],
  model: string,
  pool: Pool,
): Promise<ReadonlySet<string>> {
  const known = new Set<string>();
  for (let from = 0; from < corrections.length; from += BATCH) {
    const ids = corrections
      .slice(from, from + BATCH)
      .map(({ predictionId }) => predictionId)
      .filter((id) => id !== null);
    const { rows } = await pool.query<{ prediction_id: string }>(
      'SELECT prediction_id FROM prediction WHERE prediction_id = ANY ($1::uuid[]) AND model = $2',
      [ids, model],
    );
    for (const row of rows) known.add(row.prediction_id);
  }
  return known;
}

async function store(
  uploadId: string,
  model: string,
  { by, fileSha256, note }: UploadSource,
  found: {
    readonly total: number;
    readonly refused: number;
    readonly problems: readonly { line: number; problem: string }[];
    readonly usable: readonly Correction[];
  },
  pool: Pool,
): Promise<void> {
  try {
    await transaction(pool, async (client) => {
      await client.query(
        `INSERT INTO correction_upload (upload_id, model, state, uploaded_by, file_sha256, note, rows, accepted, refused, problems)
         VALUES ($1, $2, 'staged', $3, $4, $5, $6, $7, $8, $9)`,
        [
          uploadId,
          model,
          by,
          fileSha256,
          note,
          found.total,
          found.usable.length,
          found.refused,
          JSON.stringify(found.problems),
        ],
      );
      for (let from = 0; from < found.usable.length; from += BATCH)
        await client.query(
          `INSERT INTO correction (upload_id, line, prediction_id, features, item, value, label, note, state)
           SELECT $1, line, "predictionId", nullif(features, 'null'), item, value, label, note, state
           FROM jsonb_to_recordset($2::jsonb) AS given (line integer, "predictionId" uuid, features jsonb, item text, value jsonb,
             label double precision, note text, state text)`,
          [uploadId, JSON.stringify(found.usable.slice(from, from + BATCH))],
        );
    });
  } catch (error) {
    throw fromPostgresError(error);
  }
}

/** The rows of an uploaded file. Throws INVALID_ARGUMENT if it lacks the columns of corrections. */
export async function* correctionRows(path: string, manifest: Manifest): ReturnType<typeof readTable> {
  const fields = new Set(fieldsOf(manifest));
  let isFirst = true;
  for await (const row of readTable(path)) {
    const isUsable = 'prediction_id' in row.cells || Object.keys(row.cells).some((name) => fields.has(name));
    if (isFirst && !('label' in row.cells && isUsable))
      throw new HotloopError(
        'INVALID_ARGUMENT',
        `corrections need the columns label and prediction_id, or label and the model's features; the file has ${Object.keys(row.cells).slice(0, 20).join(', ')}`,
        { reason: 'invalid_corrections' },
      );
    isFirst = false;
    yield row;
  }
  if (isFirst)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      'the file has no rows; corrections are rows under a line of column names',
      {
        reason: 'invalid_corrections',
      },
    );
}
