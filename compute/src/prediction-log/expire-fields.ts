import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { fromPostgresError, type Pool, transaction } from '@hotloop/platform/postgres/pool.ts';
import type { RegistrySnapshot } from '@hotloop/platform/registry/snapshot.ts';
import { HOUR_MS } from '@hotloop/proto/time-units.ts';

const DAY_MS = 24 * HOUR_MS;
/** Rows that were shipped so much later than they were answered are still found. */
const LATE_MS = 2 * DAY_MS;

/** A field of a model's predictions, and how long it is kept. */
export interface ExpiringField {
  readonly model: string;
  /** The name of an entity, `inputs` or `outputs`. */
  readonly field: string;
  readonly keepMs: number;
}

/** As the live versions say (`log.retention_of`). */
export function expiringFields(snapshot: RegistrySnapshot): ExpiringField[] {
  return [...snapshot.models].flatMap(([model, { liveVersion, versions }]) => {
    const live = liveVersion === null ? undefined : versions.get(liveVersion);
    return Object.entries(live?.manifest.log.retention_of ?? {}).map(([field, keep]) => ({
      ...{ model, field, keepMs: durationMs(keep) },
    }));
  });
}

/**
 * Removes fields whose own retention has passed from the rows of the prediction log, a day of rows in each transaction. Safe on several nodes: one does
 * it, the others see that it is done. Resolves with how many rows were changed.
 */
export async function expireFields(
  pool: Pool,
  fields: readonly ExpiringField[],
  nowMs: number,
): Promise<number> {
  let changed = 0;
  for (const field of fields) changed += await expireField(pool, field, nowMs - field.keepMs);
  return changed;
}

async function expireField(pool: Pool, { model, field }: ExpiringField, untilMs: number): Promise<number> {
  let changed = 0;
  try {
    const { rows } = await pool.query<{ from: number | null }>(
      `SELECT extract(epoch FROM coalesce(
         (SELECT done_to FROM field_expiry WHERE model = $1 AND field = $2) - make_interval(secs => $3),
         (SELECT min(at) FROM prediction WHERE model = $1)))::float8 * 1000 AS from`,
      [model, field, LATE_MS / 1000],
    );
    for (let from = rows[0]?.from ?? untilMs; from < untilMs; from += DAY_MS)
      changed += await expireDay(pool, { model, field }, from, Math.min(untilMs, from + DAY_MS));
  } catch (error) {
    throw fromPostgresError(error);
  }
  return changed;
}

function expireDay(
  pool: Pool,
  { model, field }: Pick<ExpiringField, 'model' | 'field'>,
  fromMs: number,
  toMs: number,
): Promise<number> {
  return transaction(pool, async (client) => {
    await client.query(`SET LOCAL hotloop.expiring = 'on'`);
    const { remove, present, values } = removalOf(field);
    const { rowCount } = await client.query(
      `UPDATE prediction SET ${remove}
       WHERE model = $1 AND at >= to_timestamp($2 / 1000.0) AND at <= to_timestamp($3 / 1000.0) AND ${present}`,
      [model, fromMs, toMs, ...values],
    );
    await client.query(
      `INSERT INTO field_expiry AS known (model, field, done_to) VALUES ($1, $2, to_timestamp($3 / 1000.0))
       ON CONFLICT (model, field) DO UPDATE SET done_to = greatest(known.done_to, EXCLUDED.done_to)`,
      [model, field, toMs],
    );
    return rowCount ?? 0;
  });
}

/** What removes a field, and which rows still have it. */
function removalOf(field: string): { remove: string; present: string; values: readonly string[] } {
  if (field === 'inputs')
    return { remove: 'features = NULL, statuses = NULL', present: 'features IS NOT NULL', values: [] };
  if (field === 'outputs') return { remove: 'outputs = NULL', present: 'outputs IS NOT NULL', values: [] };
  return { remove: 'entities = entities - $4::text', present: 'entities ? $4::text', values: [field] };
}

/** Looks now and every hour. Failures are logged and tried again. */
export function startFieldExpiry(
  pool: Pool,
  snapshot: () => RegistrySnapshot,
  clock: Clock,
  log: Log,
): AsyncDisposable {
  let running: Promise<void> | undefined;
  const begin = () => {
    running ??= expireFields(pool, expiringFields(snapshot()), clock.now())
      .then((rows) => {
        if (rows > 0) log.info({ rows }, 'fields past their retention were removed from the log');
      })
      .catch((error: unknown) =>
        log.warn({ error }, 'fields past their retention could not be removed; trying again later'),
      )
      .finally(() => {
        running = undefined;
      });
  };
  const timer = setInterval(begin, HOUR_MS);
  begin();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await running;
    },
  };
}
