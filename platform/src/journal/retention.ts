import { HOUR_MS } from '@hotloop/proto/time-units.ts';
import type { Pool } from 'pg';
import type { ArchivePartition } from '../archive/log-archive.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { dropPartitionsBefore, partitionDay } from '../postgres/partitions.ts';

export interface RetentionOptions {
  readonly table: string;
  /** How long rows are kept, in milliseconds; undefined keeps all. Called before each round. */
  keepMs(): number | undefined;
  /** Archives a day before it is dropped. */
  readonly archive?: ArchivePartition | undefined;
  /** Interval of the check for old days; default one hour. The first check is at the start. */
  readonly everyMs?: number;
}

/** Drops days of a partitioned table that are past the retention. Failures are retried at the next check. */
export function startRetention(
  pool: Pool,
  options: RetentionOptions,
  clock: Clock,
  log: Log,
): AsyncDisposable {
  const { table } = options;
  let running: Promise<void> | undefined;

  async function round(): Promise<void> {
    try {
      const keepMs = options.keepMs();
      if (keepMs === undefined) return;
      const client = await pool.connect();
      try {
        // The day that contains the cut-off time is kept completely.
        const day = partitionDay(clock.now() - keepMs);
        const { archive } = options;
        const dropped = await dropPartitionsBefore(
          client,
          table,
          day,
          archive && ((name) => archive(table, name)),
        );
        if (dropped.length > 0) log.info({ table, dropped }, 'days past their retention were dropped');
      } finally {
        client.release();
      }
    } catch (error) {
      log.warn({ error, table }, 'old days could not be dropped; trying again later');
    }
  }
  const begin = () => {
    running ??= round().finally(() => {
      running = undefined;
    });
  };
  const timer = setInterval(begin, options.everyMs ?? HOUR_MS);
  begin();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await running;
    },
  };
}
