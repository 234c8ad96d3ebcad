import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { undelivered } from './notify/delivery-store.ts';

export interface MonitoringStatus {
  /** False: no monitor has worked for a minute. */
  readonly working: boolean;
  readonly heartbeatAt: number;
  readonly evaluatedAt: number;
  /** How far the log has been read; later calls are not known yet. */
  readonly readTo: number;
  readonly openIncidents: number;
  readonly undelivered: {
    readonly count: number;
    readonly oldestAt: number | null;
    readonly lastError: string;
  };
}

const LATE_MS = 60_000;

/** Whether the monitor itself works, and what it could not tell anybody. */
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
