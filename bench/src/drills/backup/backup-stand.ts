import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { HotloopClient } from '@hotloop/client';
import type { Local } from '@hotloop/deploy/local/start-local.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { connectTo, startBenchLocal } from '../../stand/bench-local.ts';
import { runCommand } from '../../stand/hotloop-command.ts';
import { DRILL_MODEL } from './acknowledging-load.ts';

const UNTIL_MS = 120_000;
const POLL_MS = 200;

export interface BackupStand extends AsyncDisposable {
  readonly local: Local;
  readonly client: HotloopClient;
  readonly pool: Pool;
}

/** Like `hotloop up --dir FOLDER`: commands find their files in FOLDER/data. */
export async function startBackupStand(
  folder: string,
  more: { readonly archive?: string } = {},
): Promise<BackupStand> {
  await using opened = new AsyncDisposableStack();
  const local = opened.use(
    await startBenchLocal(folder, {
      ...more,
      single: true,
      dir: join(folder, 'data'),
      environment: { HOTLOOP_LOG_LEVEL: 'warn', HOTLOOP_TRACE_RATIO: '0' },
    }),
  );
  const client = opened.use(await connectTo(local));
  const pool = opened.use(
    openPool(local.backing.databaseUrl, {
      max: 2,
      queryTimeoutMs: UNTIL_MS,
      application: 'drill',
      log: silentLog(),
    }),
  );
  const stack = opened.move();
  return { local, client, pool, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

export const command = (folder: string, ...args: string[]) =>
  runCommand([...args, '--dir', folder, '--json'], folder);

/** Retries until the model answers. */
export async function answersAgain(client: HotloopClient): Promise<boolean> {
  return until(async () => {
    const { predictionId } = await client.predict(DRILL_MODEL, { user: 'visitor-1', request: { pages: 1 } });
    return predictionId;
  }).then(
    () => true,
    () => false,
  );
}

/** Polls until a value is there. Throws the error of `look`, or a timeout after two minutes. */
export async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + UNTIL_MS;
  for (;;) {
    const found = await look().catch((error: unknown) => {
      if (performance.now() > end) throw error;
      return undefined;
    });
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error('the awaited condition was not reached in time');
    await delay(POLL_MS);
  }
}
