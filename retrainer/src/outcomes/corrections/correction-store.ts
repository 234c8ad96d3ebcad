import {
  fromPostgresError,
  type Pool,
  type PoolClient,
  type Queryable,
  transaction,
} from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Cell } from '../../datasets/read-table.ts';
import { appendLedger } from '../../ledger/ledger.ts';

export type UploadState = 'staged' | 'approved' | 'withdrawn';

export interface CorrectionUpload {
  readonly uploadId: string;
  readonly model: string;
  readonly state: UploadState;
  readonly uploadedBy: string;
  readonly approvedBy: string | null;
  readonly note: string;
  readonly rows: number;
  readonly accepted: number;
  readonly refused: number;
  readonly problems: readonly { readonly line: number; readonly problem: string }[];
  /** Effect of an approval: rows whose label changes, and contradictions. */
  readonly counts: Readonly<Record<string, number>>;
  readonly createdAt: string;
}

/** An approved correction: later candidates must answer it correctly. */
export interface RegressionCase {
  /** Null for an example that is given by its features. */
  readonly predictionId: string | null;
  readonly features: Readonly<Record<string, Cell>> | null;
  readonly item: string | null;
  readonly label: number;
}

const UPLOAD = `upload_id AS "uploadId", model, state, uploaded_by AS "uploadedBy", approved_by AS "approvedBy", note, rows,
  accepted, refused, problems, created_at AS "createdAt",
  (SELECT coalesce(jsonb_object_agg(state, count), '{}') FROM (
     SELECT state, count(*) FROM correction WHERE correction.upload_id = correction_upload.upload_id GROUP BY state) counted) AS counts`;

type StoredUpload = Omit<CorrectionUpload, 'createdAt'> & { readonly createdAt: Date };

export async function listUploads(database: Queryable, model: string | null): Promise<CorrectionUpload[]> {
  const { rows } = await database
    .query<StoredUpload>(
      `SELECT ${UPLOAD} FROM correction_upload WHERE $1::text IS NULL OR model = $1 ORDER BY created_at DESC LIMIT 200`,
      [model],
    )
    .catch((error: unknown) => {
      throw fromPostgresError(error);
    });
  return rows.map((row) => ({ ...row, createdAt: row.createdAt.toISOString() }));
}

/** Throws NOT_FOUND. */
export async function findUpload(database: Queryable, uploadId: string): Promise<CorrectionUpload> {
  const isId = /^[0-9a-f-]{36}$/.test(uploadId);
  const { rows } = isId
    ? await database.query<StoredUpload>(`SELECT ${UPLOAD} FROM correction_upload WHERE upload_id = $1`, [
        uploadId,
      ])
    : { rows: [] };
  if (!rows[0]) throw new HotloopError('NOT_FOUND', `there is no upload ${uploadId.slice(0, 80)}`);
  return { ...rows[0], createdAt: rows[0].createdAt.toISOString() };
}

/** Whether two corrections concern the same example. */
const SAME_ROW = '(older.prediction_id = newer.prediction_id OR older.features = newer.features)';

/** What an approval of the upload would change. */
export interface CorrectionPreview {
  /** Rows whose known label differs. */
  readonly changed: number;
  /** Rows without a label. */
  readonly added: number;
  /** Rows that already have this label. */
  readonly same: number;
  /** Rows that contradict an approved correction; then neither counts. */
  readonly contradicting: number;
  /** Versions that gave the corrected answers. */
  readonly versions: readonly number[];
}

// Input: upload. Output: one row of counts over the staged rows. The known label is an analyst's latest, else the latest.
const PREVIEW = `
  SELECT count(*) FILTER (WHERE known.value IS NULL)::int AS added,
    count(*) FILTER (WHERE known.value IS NOT NULL AND known.value = staged.value)::int AS same,
    count(*) FILTER (WHERE known.value IS NOT NULL AND known.value <> staged.value)::int AS changed,
    count(*) FILTER (WHERE EXISTS (
      SELECT 1 FROM correction older WHERE older.state = 'counts' AND older.upload_id <> staged.upload_id
        AND (older.prediction_id = staged.prediction_id OR older.features = staged.features) AND older.item IS NOT DISTINCT FROM staged.item
        AND older.label <> staged.label))::int AS contradicting,
    coalesce(array_agg(DISTINCT prediction.version) FILTER (WHERE prediction.version IS NOT NULL), '{}') AS versions
  FROM correction staged LEFT JOIN prediction USING (prediction_id)
  LEFT JOIN LATERAL (
    SELECT outcome.value FROM outcome WHERE outcome.prediction_id = staged.prediction_id AND kind = 'label'
      AND (staged.item IS NULL OR outcome.keys ->> 'item' = staged.item)
    ORDER BY source = 'analyst' OR source LIKE 'analyst:%' DESC, occurred_at DESC LIMIT 1) AS known ON true
  WHERE staged.upload_id = $1 AND staged.state = 'staged'`;

/** Throws NOT_FOUND. */
export async function previewUpload(database: Queryable, uploadId: string): Promise<CorrectionPreview> {
  await findUpload(database, uploadId);
  const { rows } = await database.query<CorrectionPreview>(PREVIEW, [uploadId]);
  return rows[0]!;
}

/** The approved corrections of a model, for the gate. */
export async function acceptedCorrections(database: Queryable, model: string): Promise<RegressionCase[]> {
  const { rows } = await database.query<RegressionCase>(
    `SELECT prediction_id AS "predictionId", features, item, label FROM correction JOIN correction_upload USING (upload_id)
     WHERE model = $1 AND correction.state = 'counts' ORDER BY prediction_id, item, upload_id, line`,
    [model],
  );
  return rows;
}

/** An example that analysts gave by its features, with its label. */
export interface ToldExample {
  /** Identifies the row of the upload. */
  readonly id: string;
  readonly features: Readonly<Record<string, Cell>>;
  readonly label: number;
  readonly by: string;
  /** Time of the upload, in milliseconds since 1970. */
  readonly at: number;
}

/** Approved examples of a model without a prediction; a waived one is still used for training. */
export async function toldExamples(database: Queryable, model: string): Promise<ToldExample[]> {
  const { rows } = await database.query<Omit<ToldExample, 'at'> & { readonly at: Date }>(
    `SELECT upload_id || '/' || line AS id, features, label, uploaded_by AS by, created_at AS at
     FROM correction JOIN correction_upload USING (upload_id)
     WHERE model = $1 AND correction.state IN ('counts', 'waived') AND features IS NOT NULL
     ORDER BY created_at, upload_id, line`,
    [model],
  );
  return rows.map((row) => ({ ...row, at: row.at.getTime() }));
}

// Outcomes of approved corrections: the analyst's label, identified by upload and line, so that each counts once.
const REPORT = `
  INSERT INTO outcome (id, model, source, kind, prediction_id, keys, value, occurred_at)
  SELECT $2 || upload_id || '/' || line, model, 'analyst:' || uploaded_by, $3, prediction_id,
         CASE WHEN item IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('item', item) END,
         CASE WHEN $3 = 'label' THEN value END, now()
  FROM correction JOIN correction_upload USING (upload_id)
  WHERE (upload_id, line) IN (SELECT * FROM unnest($1::uuid[], $4::integer[])) AND prediction_id IS NOT NULL
  ON CONFLICT (model, source, id) DO NOTHING`;

interface RowKey {
  readonly upload_id: string;
  readonly line: number;
}

async function report(client: PoolClient, rows: readonly RowKey[], kind: 'label' | 'retract'): Promise<void> {
  if (rows.length === 0) return;
  const prefix = kind === 'label' ? '' : 'retract ';
  await client.query(REPORT, [rows.map((row) => row.upload_id), prefix, kind, rows.map((row) => row.line)]);
}

/**
 * Approves a staged upload. Rows that contradict an approved correction of another upload stop counting on both sides.
 * Throws PERMISSION_DENIED where another key must approve, FAILED_PRECONDITION for an upload that is not staged.
 */
export async function approveUpload(
  pool: Pool,
  uploadId: string,
  actor: string,
  needsAnother: boolean,
): Promise<CorrectionUpload> {
  await change(pool, uploadId, 'staged', async (client, upload) => {
    if (needsAnother && upload.uploaded_by === actor)
      throw new HotloopError(
        'PERMISSION_DENIED',
        'another key than the one that sent the upload must approve it',
        {
          reason: 'second_key_needed',
        },
      );
    const { rows: against } = await client.query<RowKey>(
      `UPDATE correction AS older SET state = 'contradicted' FROM correction AS newer, correction_upload AS home
       WHERE newer.upload_id = $1 AND newer.state = 'staged' AND older.upload_id <> $1 AND older.state = 'counts'
         AND home.upload_id = older.upload_id AND home.model = $2 AND ${SAME_ROW}
         AND older.item IS NOT DISTINCT FROM newer.item AND older.label <> newer.label
       RETURNING older.upload_id, older.line`,
      [uploadId, upload.model],
    );
    await report(client, against, 'retract');
    await client.query(
      `UPDATE correction AS newer SET state = 'contradicted' WHERE upload_id = $1 AND state = 'staged' AND EXISTS (
         SELECT 1 FROM correction AS older WHERE older.upload_id <> $1 AND older.state = 'contradicted'
           AND ${SAME_ROW} AND older.item IS NOT DISTINCT FROM newer.item
           AND older.label <> newer.label)`,
      [uploadId],
    );
    const { rows } = await client.query<RowKey>(
      `UPDATE correction SET state = 'counts' WHERE upload_id = $1 AND state = 'staged' RETURNING upload_id, line`,
      [uploadId],
    );
    await report(client, rows, 'label');
    await client.query(
      `UPDATE correction_upload SET state = 'approved', approved_by = $2, ended_at = now() WHERE upload_id = $1`,
      [uploadId, actor],
    );
  });
  return findUpload(pool, uploadId);
}

/** Withdraws an upload with its labels, whether it was approved or not. Throws FAILED_PRECONDITION if it was already withdrawn. */
export async function withdrawUpload(pool: Pool, uploadId: string): Promise<CorrectionUpload> {
  await change(pool, uploadId, null, async (client) => {
    const { rows } = await client.query<RowKey>(
      `SELECT upload_id, line FROM correction WHERE upload_id = $1 AND state IN ('counts', 'waived')`,
      [uploadId],
    );
    await report(client, rows, 'retract');
    await client.query(`UPDATE correction SET state = 'withdrawn' WHERE upload_id = $1`, [uploadId]);
    await client.query(
      `UPDATE correction_upload SET state = 'withdrawn', ended_at = now() WHERE upload_id = $1`,
      [uploadId],
    );
  });
  return findUpload(pool, uploadId);
}

/** Which regression cases to waive, and why. */
export interface Waiver {
  /** Lines of the upload; null: all of it. */
  readonly lines: readonly number[] | null;
  readonly reason: string;
  readonly actor: string;
  readonly at: number;
}

/**
 * Lets later versions pass the gate although they answer these corrections wrongly. The labels still count; the ledger records who
 * waived them and why. Throws FAILED_PRECONDITION if none of them is a regression case.
 */
export async function waiveCases(pool: Pool, uploadId: string, waiver: Waiver): Promise<CorrectionUpload> {
  const { lines, reason, actor, at } = waiver;
  if (reason.trim() === '')
    throw new HotloopError('INVALID_ARGUMENT', 'a reason is needed: it is kept in the ledger');
  await change(pool, uploadId, 'approved', async (client, { model }) => {
    const { rows } = await client.query<RowKey>(
      `UPDATE correction SET state = 'waived', waived_by = $3, waived_because = $4
       WHERE upload_id = $1 AND state = 'counts' AND ($2::integer[] IS NULL OR line = ANY ($2)) RETURNING upload_id, line`,
      [uploadId, lines, actor, reason.slice(0, 500)],
    );
    if (rows.length === 0)
      throw new HotloopError(
        'FAILED_PRECONDITION',
        `${lines === null ? 'no row' : `none of the lines ${lines.join(', ')}`} of the upload is a regression case; \`hotloop corrections show ${uploadId}\` tells their states`,
        { reason: 'no_regression_case' },
      );
    await appendLedger(client, {
      ...{ at, actor, action: 'waive_corrections', model, version: null },
      detail: { upload_id: uploadId, lines: rows.map(({ line }) => line), reason },
    });
  });
  return findUpload(pool, uploadId);
}

async function change(
  pool: Pool,
  uploadId: string,
  from: UploadState | null,
  apply: (
    client: PoolClient,
    upload: { readonly model: string; readonly uploaded_by: string },
  ) => Promise<void>,
): Promise<void> {
  const { state: _before } = await findUpload(pool, uploadId);
  try {
    await transaction(pool, async (client) => {
      const { rows } = await client.query<{ model: string; uploaded_by: string; state: UploadState }>(
        'SELECT model, uploaded_by, state FROM correction_upload WHERE upload_id = $1 FOR UPDATE',
        [uploadId],
      );
      const upload = rows[0]!;
      if (from === null ? upload.state === 'withdrawn' : upload.state !== from)
        throw new HotloopError('FAILED_PRECONDITION', `the upload is ${upload.state} already`, {
          reason: 'upload_state',
        });
      await apply(client, upload);
    });
  } catch (error) {
    throw fromPostgresError(error);
  }
}
