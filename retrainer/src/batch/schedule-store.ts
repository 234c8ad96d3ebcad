import { durationMs } from '@hotloop/model/manifest/duration.ts';
import { z } from '@hotloop/platform/config.ts';
import type { Pool, Queryable } from '@hotloop/platform/postgres/pool.ts';
import { checkRecurrence, nextRunAt, type Recurrence } from '@hotloop/platform/schedule/next-run.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { batchOptionsSchema } from './batch-run.ts';
import { parseLocation } from './location.ts';
import { checkSinkText } from './sink.ts';

export const scheduleSchema = z.strictObject({
  model: z.string(),
  version: z.string().default('live'),
  source: z.string(),
  sink: z.string().describe('May hold {date} and {time}: each run then writes a partition of its own'),
  options: batchOptionsSchema.prefault({}),
  cron: z.string().optional(),
  timezone: z.string().default('UTC'),
  every: z
    .string()
    .regex(/^\d+(ms|s|m|h|d)$/)
    .optional(),
  catch_up: z
    .enum(['skip', 'one', 'all'])
    .default('one')
    .describe('What becomes of times that passed while nothing ran: none, one run for all, or each'),
  enabled: z.boolean().default(true),
});
export type ScheduleSpec = z.output<typeof scheduleSchema>;

export interface Schedule {
  readonly name: string;
  readonly spec: ScheduleSpec;
  readonly nextAt: number | null;
  readonly lastAt: number | null;
}

export function recurrenceOf(spec: ScheduleSpec): Recurrence {
  if ((spec.cron === undefined) === (spec.every === undefined))
    throw new HotloopError('INVALID_ARGUMENT', 'a schedule has either cron or every', {
      reason: 'bad_schedule',
    });
  return spec.cron === undefined
    ? { everyMs: durationMs(spec.every ?? '') }
    : { cron: spec.cron, timezone: spec.timezone };
}

/** Throws INVALID_ARGUMENT for a schedule that cannot run. */
export async function putSchedule(
  pool: Pool,
  name: string,
  spec: ScheduleSpec,
  nowMs: number,
): Promise<Schedule> {
  const recurrence = recurrenceOf(spec);
  checkRecurrence(recurrence);
  parseLocation(spec.source);
  checkSinkText(spec.sink);
  const next = spec.enabled ? nextRunAt(recurrence, nowMs) : null;
  const { rows } = await pool.query<ScheduleRow>(
    `INSERT INTO batch_schedule (name, spec, enabled, next_at) VALUES ($1, $2, $3, to_timestamp($4 / 1000.0))
     ON CONFLICT (name) DO UPDATE SET spec = $2, enabled = $3, next_at = to_timestamp($4 / 1000.0) RETURNING *`,
    [name, JSON.stringify(spec), spec.enabled, next],
  );
  return scheduleOf(rows[0] as ScheduleRow);
}

export async function listSchedules(database: Queryable): Promise<Schedule[]> {
  const { rows } = await database.query<ScheduleRow>('SELECT * FROM batch_schedule ORDER BY name');
  return rows.map(scheduleOf);
}

/** The model that a schedule predicts with; null: there is no such schedule. */
export async function scheduledModel(database: Queryable, name: string): Promise<{ model: string } | null> {
  const { rows } = await database.query<ScheduleRow>('SELECT * FROM batch_schedule WHERE name = $1', [name]);
  return rows[0] ? { model: scheduleOf(rows[0]).spec.model } : null;
}

export async function dueSchedules(database: Queryable, nowMs: number): Promise<Schedule[]> {
  const { rows } = await database.query<ScheduleRow>(
    `SELECT * FROM batch_schedule WHERE enabled AND next_at <= to_timestamp($1 / 1000.0) ORDER BY next_at`,
    [nowMs],
  );
  return rows.map(scheduleOf);
}

/** Moves a schedule on, unless another process has done so. */
export async function advanceSchedule(
  database: Queryable,
  schedule: Schedule,
  next: number | null,
): Promise<void> {
  await database.query(
    `UPDATE batch_schedule SET last_at = next_at, next_at = to_timestamp($3 / 1000.0)
     WHERE name = $1 AND next_at = to_timestamp($2 / 1000.0)`,
    [schedule.name, schedule.nextAt, next],
  );
}

export async function removeSchedule(database: Queryable, name: string): Promise<boolean> {
  const { rowCount } = await database.query('DELETE FROM batch_schedule WHERE name = $1', [name]);
  return rowCount === 1;
}

interface ScheduleRow {
  readonly name: string;
  readonly spec: ScheduleSpec;
  readonly next_at: Date | null;
  readonly last_at: Date | null;
}

function scheduleOf(row: ScheduleRow): Schedule {
  return {
    name: row.name,
    spec: row.spec,
    nextAt: row.next_at?.getTime() ?? null,
    lastAt: row.last_at?.getTime() ?? null,
  };
}
