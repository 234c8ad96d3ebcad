import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { listIncidents } from './incidents/incident-store.ts';
import { undelivered } from './notify/delivery-store.ts';

export interface MonitoringStatus {
  /** False if no monitor has worked for a minute. */
  readonly working: boolean;
  readonly heartbeatAt: number;
  readonly evaluatedAt: number;
  /** The time up to which the log has been read; later calls are not known yet. */
  readonly readTo: number;
  readonly openIncidents: number;
  readonly undelivered: {
    readonly count: number;
    readonly oldestAt: number | null;
    readonly lastError: string;
  };
}

const LATE_MS = 60_000;

/** Whether the monitor itself works, and which notifications could not be delivered. */
export async function monitoringStatus(pool: Pool, now: number): Promise<MonitoringStatus> {
  const { rows } = await pool.query<{ heartbeat: Date; evaluated: Date; read_to: Date; open: string }>(
    `SELECT heartbeat_at AS heartbeat, evaluated_at AS evaluated, read_to,
       (SELECT count(*) FROM incident WHERE closed_at IS NULL) AS open FROM monitor_position`,
  );
  const row = rows[0]!;
  return {
    working: now - row.heartbeat.getTime() < LATE_MS,
    heartbeatAt: row.heartbeat.getTime(),
    evaluatedAt: row.evaluated.getTime(),
    readTo: row.read_to.getTime(),
    openIncidents: Number(row.open),
    undelivered: await undelivered(pool),
  };
}

export interface StatusAlarm {
  readonly name: string;
  readonly message: string;
}

const MOST_INCIDENTS = 10;

/** The summary for operators: a monitor that does not work, undelivered alarms, open incidents; most severe first. */
export async function statusAlarms(pool: Pool, now: number): Promise<StatusAlarm[]> {
  const { working, heartbeatAt, undelivered: waiting } = await monitoringStatus(pool, now);
  const open = (await listIncidents(pool, { open: true, limit: 1_000 })).filter(
    ({ severity }) => severity !== 'info',
  );
  const shown = open.toSorted(
    (a, b) => Number(b.severity === 'critical') - Number(a.severity === 'critical'),
  );
  const ago = (at: number) => `${Math.max(0, Math.round((now - at) / 1000))} s`;
  return [
    ...(working
      ? []
      : [
          {
            name: 'monitor',
            message: `no monitor has worked for ${ago(heartbeatAt)}: models are not watched`,
          },
        ]),
    ...(waiting.count === 0
      ? []
      : [
          {
            name: 'undelivered',
            message: `${waiting.count} messages of incidents were not delivered, the oldest for ${ago(waiting.oldestAt ?? now)}: ${waiting.lastError}`,
          },
        ]),
    ...shown.slice(0, MOST_INCIDENTS).map(({ model, severity, title }) => ({
      name: 'incident',
      message: `${severity} incident of ${model || 'the platform'}: ${title}`,
    })),
    ...(shown.length > MOST_INCIDENTS
      ? [{ name: 'incident', message: `${shown.length - MOST_INCIDENTS} more: hotloop incidents` }]
      : []),
  ];
}
