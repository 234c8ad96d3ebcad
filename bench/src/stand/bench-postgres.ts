import { join } from 'node:path';
import { startPostgres } from '@hotloop/deploy/backing/postgres.ts';
import { startWatchdog } from '@hotloop/deploy/backing/watchdog.ts';

export interface BenchPostgres extends AsyncDisposable {
  readonly url: string;
  /** Process id of the server. */
  readonly pid: number;
}

const START_MS = 90_000;

/**
 * A separate Postgres for the benchmark, with the settings of `npm start` and commit timestamps; disposing stops it.
 */
export async function startBenchPostgres(folder: string): Promise<BenchPostgres> {
  await using opened = new AsyncDisposableStack();
  const watchdog = opened.use(startWatchdog());
  const postgres = opened.use(
    await startPostgres(
      {
        dir: join(folder, 'postgres'),
        settings: { track_commit_timestamp: 'on' },
        watchdog,
        log: () => undefined,
      },
      AbortSignal.timeout(START_MS),
    ),
  );
  const stack = opened.move();
  return { url: postgres.url, pid: postgres.pid, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
