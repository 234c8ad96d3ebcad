import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { nextRunAt } from '@hotloop/platform/schedule/next-run.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import { didYouMean } from '@hotloop/proto/nearest-name.ts';
import type { BatchRun } from './batch-run.ts';
import { type BatchDependencies, requestBatch } from './request-batch.ts';
import {
  advanceSchedule,
  dueSchedules,
  listSchedules,
  recurrenceOf,
  type Schedule,
} from './schedule-store.ts';

/**
 * Starts the batches that are due. Two runs of one schedule never overlap: a time that comes while the last run is at work
 * waits for it. The key of a run is its schedule and its time, so that each time starts once however many processes look.
 */
export async function startDueBatches(
  dependencies: BatchDependencies,
  nowMs: number,
  log: Log,
): Promise<number> {
  const { pool } = dependencies;
  let started = 0;
  for (const schedule of await dueSchedules(pool, nowMs)) {
    if (schedule.nextAt === null) continue;
    const { due, next } = stepOf(schedule, schedule.nextAt, nowMs);
    try {
      if (due !== null) {
        const { spec } = schedule;
        await requestBatch(
          dependencies,
          {
            model: spec.model,
            version: spec.version,
            source: spec.source,
            sink: spec.sink,
            options: spec.options,
            key: `${schedule.name}@${new Date(due).toISOString()}`,
            schedule: schedule.name,
            caller: `schedule ${schedule.name}`,
          },
          due,
        );
        started++;
      }
    } catch (error) {
      if (toHotloopError(error).reason === 'schedule_running') continue;
      // One that cannot start must not keep the others; it is tried again at its next time.
      log.error(
        { schedule: schedule.name, error: toHotloopError(error).message },
        'a batch could not be started',
      );
    }
    await advanceSchedule(pool, schedule, next);
  }
  return started;
}

/**
 * A run of a schedule between its times, paused or not. Throws NOT_FOUND, and FAILED_PRECONDITION `schedule_running` while a run of it is at
 * work: two never overlap.
 */
export async function runScheduleNow(
  dependencies: BatchDependencies,
  name: string,
  caller: string,
  nowMs: number,
): Promise<BatchRun> {
  const { pool } = dependencies;
  const schedules = await listSchedules(pool);
  const schedule = schedules.find((each) => each.name === name);
  if (!schedule) {
    const meant = didYouMean(
      name,
      schedules.map((each) => each.name),
    );
    throw new HotloopError('NOT_FOUND', `there is no schedule ${JSON.stringify(name.slice(0, 80))}${meant}`);
  }
  const { model, version, source, sink, options } = schedule.spec;
  const request = { model, version, source, sink, options, key: '', schedule: name, caller };
  return (await requestBatch(dependencies, request, nowMs)).run;
}

/**
 * Pure: which time is run now, and when the next is. `skip` runs a time only while the next has not come yet; `one` runs the
 * newest of those that passed; `all` runs each, oldest first.
 */
export function stepOf(
  schedule: Pick<Schedule, 'spec'>,
  dueMs: number,
  nowMs: number,
): { readonly due: number | null; readonly next: number | null } {
  const recurrence = recurrenceOf(schedule.spec);
  const following = nextRunAt(recurrence, dueMs);
  if (schedule.spec.catch_up === 'all' || following === null || following > nowMs)
    return { due: dueMs, next: following };
  let newest = following;
  for (let next = nextRunAt(recurrence, newest); next !== null && next <= nowMs; )
    [newest, next] = [next, nextRunAt(recurrence, next)];
  const next = nextRunAt(recurrence, newest);
  return { due: schedule.spec.catch_up === 'one' ? newest : null, next };
}

/** Looks for due schedules until the signal fires. */
export async function keepSchedules(
  dependencies: BatchDependencies & { readonly clock: Clock },
  everyMs: number,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await startDueBatches(dependencies, dependencies.clock.now(), log).catch((error: unknown) =>
      log.warn({ error }, 'schedules could not be read; trying again'),
    );
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}
