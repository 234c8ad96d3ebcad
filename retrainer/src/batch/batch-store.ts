import {
  fromPostgresError,
  type Pool,
  type Queryable,
  transaction,
} from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import {
  type BatchClaim,
  type BatchOptions,
  type BatchPlan,
  type BatchProgress,
  type BatchRun,
  type BatchState,
  FINISH,
  PLANNING,
} from './batch-run.ts';

export interface NewBatchRun {
  readonly runId: string;
  readonly model: string;
  readonly version: number;
  /** Makes the request idempotent: the same key of the same model is the same run. */
  readonly key: string;
  readonly source: string;
  readonly sink: string;
  readonly options: BatchOptions;
  readonly schedule: string | null;
  readonly caller: string;
}

/**
 * Inserts a run with its planning as the first piece of work, or finds the one with the same key. Throws
 * FAILED_PRECONDITION `schedule_running` while another run of its schedule is at work.
 */
export async function insertBatchRun(
  pool: Pool,
  run: NewBatchRun,
): Promise<{ run: BatchRun; created: boolean }> {
  return wrapped(() =>
    transaction(pool, async (client) => {
      const { rowCount } = await client.query(
        `INSERT INTO batch_run (run_id, model, version, key, source, sink, options, schedule, state, caller)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'planning', $9) ON CONFLICT DO NOTHING`,
        [
          run.runId,
          run.model,
          run.version,
          run.key,
          run.source,
          run.sink,
          JSON.stringify(run.options),
          run.schedule,
          run.caller,
        ],
      );
      const created = rowCount === 1;
      if (created)
        await client.query('INSERT INTO batch_part (run_id, part) VALUES ($1, $2)', [run.runId, PLANNING]);
      const { rows } = await client.query<BatchRow>('SELECT * FROM batch_run WHERE model = $1 AND key = $2', [
        run.model,
        run.key,
      ]);
      const [row] = rows;
      if (!row) throw scheduleRunning(run.schedule ?? '');
      return { run: runOf(row), created };
    }),
  );
}

export async function readBatchRun(database: Queryable, runId: string): Promise<BatchRun | null> {
  const rows = await query<BatchRow>(database, 'SELECT * FROM batch_run WHERE run_id = $1', [runId]);
  return rows[0] ? runOf(rows[0]) : null;
}

/** Where the results of all runs that are done were put, each once. */
export async function readEndedSinks(database: Queryable): Promise<string[]> {
  const { rows } = await database.query<{ sink: string }>(
    `SELECT DISTINCT sink FROM batch_run WHERE state = 'done' ORDER BY sink`,
  );
  return rows.map(({ sink }) => sink);
}

/** Where the result of a run was put, or that of the newest run of a schedule; null when none such is done. */
export async function readBatchOutput(
  database: Queryable,
  name: string,
): Promise<{ readonly runId: string; readonly sink: string } | null> {
  const rows = await query<{ run_id: string; sink: string }>(
    database,
    `SELECT run_id, sink FROM batch_run WHERE state = 'done' AND (run_id::text = $1 OR schedule = $1)
     ORDER BY created_at DESC LIMIT 1`,
    [name],
  );
  const found = rows[0];
  return found ? { runId: found.run_id, sink: found.sink } : null;
}

/** Newest first; of every model when it is empty, of every schedule when that is. */
export async function listBatchRuns(
  database: Queryable,
  filter: { readonly model: string; readonly schedule: string; readonly limit: number },
): Promise<BatchRun[]> {
  const rows = await query<BatchRow>(
    database,
    `SELECT * FROM batch_run WHERE ($1 = '' OR model = $1) AND ($2 = '' OR schedule = $2)
     ORDER BY created_at DESC LIMIT $3`,
    [filter.model, filter.schedule, filter.limit],
  );
  return rows.map(runOf);
}

export async function batchProgress(database: Queryable, runId: string): Promise<BatchProgress> {
  const rows = await query<{ parts: string; done: string; accepted: string; refused: string }>(
    database,
    `SELECT count(*) AS parts, count(*) FILTER (WHERE done) AS done, coalesce(sum(accepted), 0) AS accepted,
       coalesce(sum(refused), 0) AS refused FROM batch_part WHERE run_id = $1 AND part >= 0`,
    [runId],
  );
  const row = rows[0];
  return {
    parts: Number(row?.parts ?? 0),
    partsDone: Number(row?.done ?? 0),
    accepted: Number(row?.accepted ?? 0),
    refused: Number(row?.refused ?? 0),
  };
}

/** SHA-256 of each part's output, in order. */
export async function partDigests(database: Queryable, runId: string): Promise<string[]> {
  const rows = await query<{ sha256: string | null }>(
    database,
    'SELECT sha256 FROM batch_part WHERE run_id = $1 AND part >= 0 ORDER BY part',
    [runId],
  );
  return rows.map((row) => row.sha256 ?? '');
}

/** Takes the next piece of work that nobody holds, of one run or of any. Null when there is none. */
export async function claimPart(pool: Pool, leaseMs: number, runId = ''): Promise<BatchClaim | null> {
  return wrapped(() =>
    transaction(pool, async (client) => {
      const { rows } = await client.query<PartRow>(
        `UPDATE batch_part SET token = token + 1, lease_until = now() + make_interval(secs => $1 / 1000.0)
         WHERE (run_id, part) = (
           SELECT part.run_id, part.part FROM batch_part part JOIN batch_run run USING (run_id)
           WHERE run.ended_at IS NULL AND NOT part.done AND ($2 = '' OR run.run_id::text = $2)
             AND (part.lease_until IS NULL OR part.lease_until < now())
           ORDER BY run.created_at, part.part LIMIT 1 FOR UPDATE OF part SKIP LOCKED)
         RETURNING *`,
        [leaseMs, runId],
      );
      const part = rows[0];
      if (!part) return null;
      const { rows: runs } = await client.query<BatchRow>(
        `UPDATE batch_run SET started_at = coalesce(started_at, now()) WHERE run_id = $1 RETURNING *`,
        [part.run_id],
      );
      return {
        run: runOf(runs[0] as BatchRow),
        part: part.part,
        token: Number(part.token),
        firstRow: Number(part.first_row),
        endRow: Number(part.end_row),
      };
    }),
  );
}

/** Throws ABORTED with reason stale_token when the claim is not the newest, or the run has ended. */
export async function extendPart(pool: Pool, claim: BatchClaim, leaseMs: number): Promise<void> {
  const rows = await query(
    pool,
    `UPDATE batch_part part SET lease_until = now() + make_interval(secs => $4 / 1000.0) FROM batch_run run
     WHERE part.run_id = $1 AND part = $2 AND token = $3 AND NOT done AND run.run_id = part.run_id
       AND run.ended_at IS NULL RETURNING part`,
    [claim.run.runId, claim.part, claim.token, leaseMs],
  );
  if (rows.length === 0) throw staleClaim();
}

/** Gives a piece of work back. A stale claim changes nothing. */
export async function releasePart(pool: Pool, claim: BatchClaim): Promise<void> {
  await query(
    pool,
    'UPDATE batch_part SET lease_until = NULL WHERE run_id = $1 AND part = $2 AND token = $3 AND NOT done',
    [claim.run.runId, claim.part, claim.token],
  );
}

/** Ends the planning: the parts of the run begin to wait. Throws ABORTED stale_token. */
export async function endPlanning(
  pool: Pool,
  claim: BatchClaim,
  plan: BatchPlan,
  datasetSha256: string,
  partRows: number,
): Promise<void> {
  await wrapped(() =>
    transaction(pool, async (client) => {
      await endPart(client, claim, { accepted: 0, refused: 0, sha256: '' });
      const parts = Math.max(1, Math.ceil(plan.rows / partRows));
      await client.query(
        `INSERT INTO batch_part (run_id, part, first_row, end_row)
         SELECT $1, part, part::bigint * $3, least((part::bigint + 1) * $3, $4) FROM generate_series(0, $2 - 1) part`,
        [claim.run.runId, parts, partRows, plan.rows],
      );
      await client.query(
        `UPDATE batch_run SET state = 'running', plan = $2, rows = $3, dataset_sha256 = $4 WHERE run_id = $1`,
        [claim.run.runId, JSON.stringify(plan), plan.rows, datasetSha256],
      );
    }),
  );
}

/** Ends one part; when it was the last, the finish begins to wait. Throws ABORTED stale_token. */
export async function endRows(
  pool: Pool,
  claim: BatchClaim,
  written: { readonly accepted: number; readonly refused: number; readonly sha256: string },
): Promise<void> {
  await wrapped(() =>
    transaction(pool, async (client) => {
      // Ends of one run wait for each other here, so that exactly one of them is the last.
      await client.query('SELECT 1 FROM batch_run WHERE run_id = $1 FOR NO KEY UPDATE', [claim.run.runId]);
      await endPart(client, claim, written);
      const { rows } = await client.query(
        'SELECT 1 FROM batch_part WHERE run_id = $1 AND part >= 0 AND NOT done LIMIT 1',
        [claim.run.runId],
      );
      if (rows.length > 0) return;
      await client.query('INSERT INTO batch_part (run_id, part) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
        claim.run.runId,
        FINISH,
      ]);
      await client.query(`UPDATE batch_run SET state = 'finishing' WHERE run_id = $1`, [claim.run.runId]);
    }),
  );
}

/** Ends the whole run. Throws ABORTED stale_token. */
export async function endBatch(pool: Pool, claim: BatchClaim, message: string): Promise<void> {
  await wrapped(() =>
    transaction(pool, async (client) => {
      await endPart(client, claim, { accepted: 0, refused: 0, sha256: '' });
      await client.query(
        `UPDATE batch_run SET state = 'done', message = $2, ended_at = now() WHERE run_id = $1 AND ended_at IS NULL`,
        [claim.run.runId, message],
      );
    }),
  );
}

/** Ends a run that cannot go on, or that somebody cancels. False when it had ended. */
export async function stopBatch(
  database: Queryable,
  runId: string,
  state: Extract<BatchState, 'failed' | 'cancelled'>,
  message: string,
): Promise<boolean> {
  const rows = await query(
    database,
    `UPDATE batch_run SET state = $2, message = $3, ended_at = now() WHERE run_id = $1 AND ended_at IS NULL RETURNING run_id`,
    [runId, state, message.slice(0, 2000)],
  );
  return rows.length > 0;
}

/** Runs with work that nobody holds. */
export async function waitingBatchRuns(database: Queryable): Promise<string[]> {
  const rows = await query<{ run_id: string }>(
    database,
    `SELECT DISTINCT part.run_id FROM batch_part part JOIN batch_run run USING (run_id)
     WHERE run.ended_at IS NULL AND NOT part.done AND (part.lease_until IS NULL OR part.lease_until < now())`,
  );
  return rows.map((row) => row.run_id);
}

async function endPart(
  client: Queryable,
  claim: BatchClaim,
  written: { readonly accepted: number; readonly refused: number; readonly sha256: string },
): Promise<void> {
  const { rowCount } = await client.query(
    `UPDATE batch_part SET done = true, lease_until = NULL, accepted = $4, refused = $5, sha256 = $6
     WHERE run_id = $1 AND part = $2 AND token = $3 AND NOT done
       AND EXISTS (SELECT 1 FROM batch_run run WHERE run.run_id = $1 AND run.ended_at IS NULL)`,
    [claim.run.runId, claim.part, claim.token, written.accepted, written.refused, written.sha256],
  );
  if (rowCount !== 1) throw staleClaim();
}

function scheduleRunning(name: string): HotloopError {
  return new HotloopError(
    'FAILED_PRECONDITION',
    `a run of ${name} is at work; runs of one schedule never overlap. Wait for it, or cancel it`,
    { reason: 'schedule_running' },
  );
}

function staleClaim(): HotloopError {
  return new HotloopError('ABORTED', 'another worker has taken this part over, or the run has ended', {
    reason: 'stale_token',
  });
}

interface PartRow {
  readonly run_id: string;
  readonly part: number;
  readonly token: string;
  readonly first_row: string;
  readonly end_row: string;
}

interface BatchRow {
  readonly run_id: string;
  readonly model: string;
  readonly version: number;
  readonly source: string;
  readonly sink: string;
  readonly options: BatchOptions;
  readonly schedule: string | null;
  readonly state: BatchState;
  readonly message: string;
  readonly dataset_sha256: string | null;
  readonly plan: BatchPlan | null;
  readonly rows: string | null;
  readonly created_at: Date;
  readonly started_at: Date | null;
  readonly ended_at: Date | null;
}

function runOf(row: BatchRow): BatchRun {
  return {
    runId: row.run_id,
    model: row.model,
    version: row.version,
    source: row.source,
    sink: row.sink,
    options: row.options,
    schedule: row.schedule,
    state: row.state,
    message: row.message,
    datasetSha256: row.dataset_sha256,
    plan: row.plan,
    rows: row.rows === null ? null : Number(row.rows),
    createdAt: row.created_at.getTime(),
    startedAt: row.started_at?.getTime() ?? null,
    endedAt: row.ended_at?.getTime() ?? null,
  };
}

function query<Row extends object>(
  database: Queryable,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  return wrapped(async () => (await database.query<Row>(text, values)).rows);
}

async function wrapped<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw error instanceof HotloopError ? error : fromPostgresError(error);
  }
}
