import type { Queryable } from '@hotloop/platform/postgres/pool.ts';

export interface Delivery {
  readonly incident: string;
  readonly transition: number;
  /** Its name: `webhook:alertmanager:https://…`, `webhook:slack+ALERTS_SECRET:https://…` or `email:NAME@HOST`. */
  readonly receiver: string;
  readonly body: unknown;
  readonly attempts: number;
}

/** Queues deliveries in the transaction of the incident's change. Repeating the same transition changes nothing. */
export async function enqueueDeliveries(
  database: Queryable,
  deliveries: readonly Omit<Delivery, 'attempts'>[],
): Promise<void> {
  if (deliveries.length === 0) return;
  await database.query(
    `INSERT INTO incident_delivery (incident, transition, receiver, body)
     SELECT incident, transition, receiver, body
     FROM jsonb_to_recordset($1::jsonb) AS one (incident uuid, transition integer, receiver text, body jsonb)
     ON CONFLICT DO NOTHING`,
    [JSON.stringify(deliveries)],
  );
}

/** Whether an incident, as it is now, was sent to anybody or is about to be. */
export async function isTold(
  database: Queryable,
  { id, transition }: { readonly id: string; readonly transition: number },
): Promise<boolean> {
  const { rows } = await database.query<{ told: boolean }>(
    'SELECT EXISTS (SELECT 1 FROM incident_delivery WHERE incident = $1 AND transition = $2) AS told',
    [id, transition],
  );
  return rows[0]!.told;
}

/**
 * Claims deliveries that are due, for `leaseMs`; those of one incident and receiver in order, and of each receiver only a
 * part of `limit`, so that one that does not answer does not delay the others. If the process ends
 * before it marks a delivery, the delivery is claimed again later, with the same key.
 */
export async function claimDeliveries(
  database: Queryable,
  limit: number,
  leaseMs: number,
): Promise<Delivery[]> {
  const { rows } = await database.query<Delivery>(
    `UPDATE incident_delivery AS one SET attempts = attempts + 1, next_at = now() + $2 * interval '1 millisecond'
     WHERE (incident, transition, receiver) IN (
       SELECT incident, transition, receiver FROM incident_delivery due
       WHERE delivered_at IS NULL AND next_at <= now() AND NOT EXISTS (
         SELECT 1 FROM incident_delivery before WHERE before.incident = due.incident
           AND before.receiver = due.receiver AND before.transition < due.transition AND before.delivered_at IS NULL)
         AND $3 > (
           SELECT count(*) FROM incident_delivery other WHERE other.receiver = due.receiver
             AND other.delivered_at IS NULL AND other.next_at <= now()
             AND (other.next_at, other.incident, other.transition) < (due.next_at, due.incident, due.transition))
       ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED)
     RETURNING incident, transition, receiver, body, attempts`,
    [limit, leaseMs, Math.max(1, Math.floor(limit / 4))],
  );
  return rows;
}

export async function markDelivered(database: Queryable, delivery: Delivery): Promise<void> {
  await database.query(
    `UPDATE incident_delivery SET delivered_at = now(), last_error = ''
     WHERE incident = $1 AND transition = $2 AND receiver = $3`,
    [delivery.incident, delivery.transition, delivery.receiver],
  );
}

export async function markFailed(
  database: Queryable,
  delivery: Delivery,
  error: string,
  retryInMs: number,
): Promise<void> {
  await database.query(
    `UPDATE incident_delivery SET last_error = $4, next_at = now() + $5 * interval '1 millisecond'
     WHERE incident = $1 AND transition = $2 AND receiver = $3 AND delivered_at IS NULL`,
    [delivery.incident, delivery.transition, delivery.receiver, error.slice(0, 500), retryInMs],
  );
}

export interface Undelivered {
  readonly count: number;
  readonly oldestAt: number | null;
  /** The errors of the last tries, each once. */
  readonly lastError: string;
}

/** Waiting deliveries that have failed at least once. */
export async function undelivered(database: Queryable): Promise<Undelivered> {
  const { rows } = await database.query<{ count: string; oldest: Date | null; error: string | null }>(
    `SELECT count(*) AS count, min(created_at) AS oldest, left(string_agg(DISTINCT nullif(last_error, ''), '; '), 1000) AS error
     FROM incident_delivery WHERE delivered_at IS NULL AND attempts > 0`,
  );
  const row = rows[0]!;
  return {
    count: Number(row.count),
    oldestAt: row.oldest?.getTime() ?? null,
    lastError: row.error ?? '',
  };
}
