import { randomUUID } from 'node:crypto';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Severity, Signal } from '../signals/signal.ts';
import type { Cost, Evidence, Incident, IncidentDraft, IncidentState } from './incident.ts';

interface StoredIncident {
  readonly id: string;
  readonly model: string;
  readonly cause: string;
  readonly state: IncidentState;
  readonly severity: Severity;
  readonly title: string;
  readonly cost: Cost | null;
  readonly signals: readonly Signal[];
  readonly evidence: Evidence;
  readonly transition: number;
  readonly quiet_since: Date | null;
  readonly opened_at: Date;
  readonly updated_at: Date;
  readonly closed_at: Date | null;
  readonly acknowledged_at: Date | null;
  readonly acknowledged_by: string | null;
  readonly note: string;
  readonly escalated_at: Date | null;
}

const fromRow = (row: StoredIncident): Incident => ({
  id: row.id,
  model: row.model,
  cause: row.cause,
  state: row.state,
  severity: row.severity,
  title: row.title,
  cost: row.cost,
  signals: row.signals,
  evidence: row.evidence,
  transition: row.transition,
  openedAt: row.opened_at.getTime(),
  updatedAt: row.updated_at.getTime(),
  closedAt: row.closed_at?.getTime() ?? null,
  acknowledgedAt: row.acknowledged_at?.getTime() ?? null,
  acknowledgedBy: row.acknowledged_by,
  escalatedAt: row.escalated_at?.getTime() ?? null,
  note: row.note,
});

export interface IncidentQuery {
  readonly model?: string;
  readonly open?: boolean;
  readonly limit: number;
}

export async function countOpenIncidents(
  database: Queryable,
): Promise<{ readonly model: string; readonly severity: string; readonly count: number }[]> {
  const { rows } = await database.query<{ model: string; severity: string; count: string }>(
    'SELECT model, severity, count(*) AS count FROM incident WHERE closed_at IS NULL GROUP BY model, severity',
  );
  return rows.map((row) => ({ ...row, count: Number(row.count) }));
}

/** Newest first. */
export async function listIncidents(database: Queryable, query: IncidentQuery): Promise<Incident[]> {
  const { rows } = await database.query<StoredIncident>(
    `SELECT * FROM incident WHERE ($1::text IS NULL OR model = $1)
       AND ($2::boolean IS NULL OR (closed_at IS NULL) = $2) ORDER BY opened_at DESC, id LIMIT $3`,
    [query.model ?? null, query.open ?? null, query.limit],
  );
  return rows.map(fromRow);
}

/** Throws NOT_FOUND. */
export async function findIncident(database: Queryable, id: string): Promise<Incident> {
  const { rows } = await database.query<StoredIncident>('SELECT * FROM incident WHERE id = $1', [id]);
  if (!rows[0]) throw new HotloopError('NOT_FOUND', `there is no incident ${id}`);
  return fromRow(rows[0]);
}

/** Opens an incident. Returns null if one with this cause is already open. */
export async function insertIncident(
  database: Queryable,
  draft: IncidentDraft,
  cost: Cost | null,
  evidence: Evidence,
  now: number,
): Promise<Incident | null> {
  const { rows } = await database.query<StoredIncident>(
    `INSERT INTO incident (id, model, cause, state, severity, title, cost, signals, evidence, opened_at, updated_at)
     VALUES ($1, $2, $3, 'open', $4, $5, $6, $7, $8, to_timestamp($9 / 1000.0), to_timestamp($9 / 1000.0))
     ON CONFLICT (model, cause) WHERE closed_at IS NULL DO NOTHING RETURNING *`,
    [
      ...[randomUUID(), draft.model, draft.cause, draft.severity, draft.title],
      ...[JSON.stringify(cost), JSON.stringify(draft.signals), JSON.stringify(evidence), now],
    ],
  );
  return rows[0] ? fromRow(rows[0]) : null;
}

/** Records an incident of the platform that had already ended when it was noticed. */
export async function insertEnded(
  database: Queryable,
  { cause, title }: { readonly cause: string; readonly title: string },
  openedAt: number,
  now: number,
): Promise<Incident> {
  const { rows } = await database.query<StoredIncident>(
    `INSERT INTO incident (id, model, cause, state, severity, title, signals, transition, opened_at, updated_at,
       closed_at)
     VALUES ($1, '', $2, 'closed', 'warning', $3, '[]', 2, to_timestamp($4 / 1000.0), to_timestamp($5 / 1000.0),
       to_timestamp($5 / 1000.0)) RETURNING *`,
    [randomUUID(), cause, title, openedAt, now],
  );
  return fromRow(rows[0]!);
}

/** Updates an incident; with `told`, the update counts as a transition, which is sent to receivers. */
export async function updateIncident(
  database: Queryable,
  id: string,
  change: IncidentDraft & { readonly cost: Cost | null; readonly evidence: Evidence },
  now: number,
  told: boolean,
): Promise<Incident> {
  const { rows } = await database.query<StoredIncident>(
    `UPDATE incident SET severity = $2, title = $3, cost = $4, signals = $5, evidence = $6,
       updated_at = to_timestamp($7 / 1000.0), quiet_since = NULL, transition = transition + $8 WHERE id = $1 RETURNING *`,
    [
      ...[id, change.severity, change.title, JSON.stringify(change.cost), JSON.stringify(change.signals)],
      ...[JSON.stringify(change.evidence), now, told ? 1 : 0],
    ],
  );
  return fromRow(rows[0]!);
}

/** Marks an incident as having no signals, and closes it after a time. Returns null while it stays open. */
export async function quietIncident(
  database: Queryable,
  id: string,
  now: number,
  closeAfterMs: number,
): Promise<Incident | null> {
  const { rows } = await database.query<StoredIncident>(
    `UPDATE incident SET quiet_since = coalesce(quiet_since, to_timestamp($2 / 1000.0)) WHERE id = $1 RETURNING *`,
    [id, now],
  );
  const since = rows[0]?.quiet_since?.getTime() ?? now;
  return now - since < closeAfterMs ? null : closeIncident(database, id, now, '');
}

/** Null if it was already closed. */
export async function closeIncident(
  database: Queryable,
  id: string,
  now: number,
  note: string,
): Promise<Incident | null> {
  const { rows } = await database.query<StoredIncident>(
    `UPDATE incident SET state = 'closed', closed_at = to_timestamp($2 / 1000.0), updated_at = to_timestamp($2 / 1000.0),
       transition = transition + 1, note = CASE WHEN $3 = '' THEN note ELSE $3 END
     WHERE id = $1 AND closed_at IS NULL RETURNING *`,
    [id, now, note],
  );
  return rows[0] ? fromRow(rows[0]) : null;
}

/** Null if it is not open. */
export async function acknowledgeIncident(
  database: Queryable,
  id: string,
  actor: string,
  note: string,
  now: number,
): Promise<Incident | null> {
  const { rows } = await database.query<StoredIncident>(
    `UPDATE incident SET state = 'acknowledged', acknowledged_at = to_timestamp($2 / 1000.0), acknowledged_by = $3,
       note = $4 WHERE id = $1 AND state = 'open' RETURNING *`,
    [id, now, actor, note],
  );
  return rows[0] ? fromRow(rows[0]) : null;
}

/** Open incidents that were not acknowledged by a given time; each is returned once. */
export async function markEscalated(database: Queryable, id: string, now: number): Promise<Incident | null> {
  const { rows } = await database.query<StoredIncident>(
    `UPDATE incident SET escalated_at = to_timestamp($2 / 1000.0), transition = transition + 1
     WHERE id = $1 AND state = 'open' AND escalated_at IS NULL RETURNING *`,
    [id, now],
  );
  return rows[0] ? fromRow(rows[0]) : null;
}

export interface Silence {
  readonly id: string;
  readonly model: string;
  /** Empty for every cause. */
  readonly cause: string;
  readonly until: number;
  readonly reason: string;
  readonly actor: string;
}

export async function insertSilence(database: Queryable, silence: Omit<Silence, 'id'>): Promise<Silence> {
  const id = randomUUID();
  await database.query(
    `INSERT INTO monitor_silence (id, model, cause, until, reason, actor)
     VALUES ($1, $2, $3, to_timestamp($4 / 1000.0), $5, $6)`,
    [id, silence.model, silence.cause, silence.until, silence.reason, silence.actor],
  );
  return { ...silence, id };
}

/** Silences in force. */
export async function listSilences(
  database: Queryable,
  model: string | null,
  now: number,
): Promise<Silence[]> {
  const { rows } = await database.query<Omit<Silence, 'until'> & { until: Date }>(
    `SELECT id, model, cause, until, reason, actor FROM monitor_silence
     WHERE until > to_timestamp($2 / 1000.0) AND ($1::text IS NULL OR model = $1) ORDER BY until`,
    [model, now],
  );
  return rows.map((row) => ({ ...row, until: row.until.getTime() }));
}

/** Ends a silence now. False when it was not in force. */
export async function endSilence(
  database: Queryable,
  model: string,
  id: string,
  now: number,
): Promise<boolean> {
  const { rowCount } = await database.query(
    `UPDATE monitor_silence SET until = to_timestamp($3 / 1000.0)
     WHERE model = $1 AND id = $2 AND until > to_timestamp($3 / 1000.0)`,
    [model, id, now],
  );
  return rowCount === 1;
}
