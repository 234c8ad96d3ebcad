import {
  fromPostgresError,
  type Pool,
  type PoolClient,
  transaction,
} from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { appendLedger, type LedgerAction } from '../ledger/ledger.ts';
import { isInRollout } from '../rollouts/rollout-store.ts';
import { deleteRuns } from '../runs/run-store.ts';
import { unknownVersion } from './version-store.ts';

export interface Act {
  readonly actor: string;
  readonly reason: string;
  readonly at: number;
}

const LABEL = /^[a-z0-9][a-z0-9_./-]{0,62}$/;

/** Sets labels of a version; an empty value removes the label. Rejects NOT_FOUND, INVALID_ARGUMENT. */
export async function labelVersion(
  pool: Pool,
  model: string,
  version: number,
  labels: Readonly<Record<string, string>>,
  note: string | undefined,
  act: Act,
): Promise<void> {
  const wrong = Object.keys(labels).find((name) => !LABEL.test(name));
  if (wrong !== undefined)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `label ${JSON.stringify(wrong.slice(0, 80))} is no plain name`,
    );
  const gone = Object.entries(labels).flatMap(([name, value]) => (value === '' ? [name] : []));
  await change(pool, model, async (client) => {
    const { rowCount } = await client.query(
      `UPDATE model_version SET labels = (labels || $3::jsonb) - $4::text[], note = coalesce($5, note)
       WHERE model = $1 AND version = $2`,
      [model, version, JSON.stringify(labels), gone, note ?? null],
    );
    if (rowCount === 0) throw await unknownVersion(client, model, version);
    await record(client, 'label', model, version, act, { labels, ...(note === undefined ? {} : { note }) });
  });
}

/** Archives a version: it is kept, but cannot be promoted. `archived` false reverts this. Rejects FAILED_PRECONDITION `in_use`. */
export async function archiveVersion(
  pool: Pool,
  model: string,
  version: number,
  archived: boolean,
  act: Act,
): Promise<void> {
  await change(pool, model, async (client) => {
    if (archived) await refuseInUse(client, model, version);
    const { rowCount } = await client.query(
      'UPDATE model_version SET archived_at = CASE WHEN $3 THEN now() END WHERE model = $1 AND version = $2',
      [model, version, archived],
    );
    if (rowCount === 0) throw await unknownVersion(client, model, version);
    await record(client, 'archive', model, version, act, { archived });
  });
}

/**
 * Deletes a version from the registry. Its bundle stays in the store until `collectGarbage`, its rows in the logs and the ledger stay. Rejects
 * NOT_FOUND, FAILED_PRECONDITION `in_use` for a version that is live, previous or in a rollout.
 */
export async function deleteVersion(pool: Pool, model: string, version: number, act: Act): Promise<void> {
  await change(pool, model, async (client) => {
    await refuseInUse(client, model, version);
    const { rows } = await client.query<{ bundle_sha256: string }>(
      'DELETE FROM model_version WHERE model = $1 AND version = $2 RETURNING bundle_sha256',
      [model, version],
    );
    if (!rows[0]) throw await unknownVersion(client, model, version);
    await record(client, 'delete', model, version, act, { bundle_sha256: rows[0].bundle_sha256 });
  });
}

/** Deletes a model with all its versions, rollouts and runs. Rejects FAILED_PRECONDITION `in_use` while a version is live, unless forced. */
export async function deleteModel(pool: Pool, model: string, isForced: boolean, act: Act): Promise<number> {
  return change(pool, model, async (client) => {
    const { rows } = await client.query<{ live_version: number | null }>(
      'SELECT live_version FROM model WHERE name = $1',
      [model],
    );
    if (!rows[0]) throw new HotloopError('NOT_FOUND', `model ${model} is not registered`);
    if (rows[0].live_version !== null && !isForced)
      throw new HotloopError(
        'FAILED_PRECONDITION',
        `version ${rows[0].live_version} of ${model} is live; --force deletes the model all the same`,
        { reason: 'in_use' },
      );
    const { rowCount } = await client.query('DELETE FROM model_version WHERE model = $1', [model]);
    await deleteRuns(client, model);
    await client.query('DELETE FROM model WHERE name = $1', [model]);
    await record(client, 'delete', model, null, act, { versions: rowCount ?? 0 });
    return rowCount ?? 0;
  });
}

async function refuseInUse(client: PoolClient, model: string, version: number): Promise<void> {
  const { rows } = await client.query<{ role: string }>(
    `SELECT CASE WHEN live_version = $2 THEN 'live' WHEN previous_version = $2 THEN 'the way back of a rollback' END AS role
     FROM model WHERE name = $1 AND $2 IN (live_version, previous_version)`,
    [model, version],
  );
  const role = rows[0]?.role ?? ((await isInRollout(client, model, version)) ? 'in a rollout' : null);
  if (role !== null)
    throw new HotloopError('FAILED_PRECONDITION', `version ${version} of ${model} is ${role}`, {
      reason: 'in_use',
    });
}

/** Locks in the order of all changes of a model: the model's row, the registry's counter, the ledger last. */
async function change<T>(pool: Pool, model: string, run: (client: PoolClient) => Promise<T>): Promise<T> {
  try {
    return await transaction(
      pool,
      async (client) => {
        await client.query('SELECT 1 FROM model WHERE name = $1 FOR UPDATE', [model]);
        return run(client);
      },
      { retrySerialization: true },
    );
  } catch (error) {
    throw fromPostgresError(error);
  }
}

function record(
  client: PoolClient,
  action: LedgerAction,
  model: string,
  version: number | null,
  { actor, reason, at }: Act,
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  return appendLedger(client, { at, actor, action, model, version, detail: { ...detail, reason } });
}
