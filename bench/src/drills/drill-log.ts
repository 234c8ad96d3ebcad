import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { silentLog } from '@hotloop/platform/log.ts';
import { migrate } from '@hotloop/platform/postgres/migrate.ts';
import { openPool, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { type Figure, figure } from '../figure.ts';
import { benchPerceptron } from '../models/bench-models.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { type BenchPostgres, startBenchPostgres } from '../stand/bench-postgres.ts';
import { type ComputeService, startComputeService } from '../stand/compute-service.ts';
import { signalTree } from '../stand/process-tree.ts';
import { registerModel } from '../stand/register-model.ts';
import { AskingClient } from './asking-client.ts';
import { compareIds } from './compare-ids.ts';
import type { Drill, DrillOptions } from './drill.ts';

const LIMIT_MS = 3_600_000;
/** Postgres is stopped when this share of the predictions was answered. */
const OUTAGE_AT = 0.45;
/** The front is also killed once, this long before Postgres is back. */
const KILL_BEFORE_END_MS = 5_000;
const SHIPPED_MS = 300_000;
const PAGE = 50_000;
const POLL_MS = 250;

/**
 * Predictions through compute's own stream, each retried under its id until it is answered, while the front is killed
 * repeatedly and Postgres is stopped for a while. Then the answered ids are compared with the log.
 */
export const drillLog: Drill = async (options): Promise<Figure[]> => {
  const { predictions, kills, say } = options;
  const signal = AbortSignal.timeout(LIMIT_MS);
  await using folder = await benchFolder();
  await using postgres = await startBenchPostgres(folder.path);
  const log = silentLog();
  await migrate(postgres.url, { log });
  await using pool = openPool(postgres.url, {
    max: 2,
    queryTimeoutMs: SHIPPED_MS,
    application: 'drill',
    log,
  });
  const model = benchPerceptron('small');
  await registerModel(pool, join(folder.path, 'store'), model);
  await using compute = await startComputeService(
    { databaseUrl: postgres.url, folder: folder.path, node: 'drill' },
    signal,
  );
  await using client = new AskingClient(compute.address, model, options.rate);
  const asking = client.ask(predictions, signal);
  const breaking = breakThings(options, { compute, postgres, client }, signal);
  await Promise.race([breaking, asking]);
  await Promise.all([breaking, asking]);
  say(`${client.answered.size} answered, ${client.retries} asked again; waiting for the log`);
  const behindMs = await untilShipped(pool, client.answered.size, signal);
  const { lost, doubled, logged } = await compareIds(client.answered, loggedIds(pool));
  return [
    figure('log_lost', [lost], { atMost: 0 }),
    figure('log_doubled', [doubled], { atMost: 0 }),
    figure('log_answered', [client.answered.size]),
    figure('log_rows', [logged]),
    figure('log_asked_again', [client.retries]),
    figure('log_kills', [kills]),
    figure('log_behind_ms', [behindMs]),
  ];
};

interface Victims {
  readonly compute: ComputeService;
  readonly postgres: BenchPostgres;
  readonly client: AskingClient;
}

async function breakThings(options: DrillOptions, victims: Victims, signal: AbortSignal): Promise<void> {
  const { predictions, kills, outage, say } = options;
  const { compute, postgres, client } = victims;
  const until = async (share: number) => {
    while (client.answered.size < share * predictions) await delay(POLL_MS, undefined, { signal });
  };
  let stood = outage === 0;
  for (let kill = 1; kill <= kills; kill++) {
    const share = kill / (kills + 1);
    if (!stood && share >= OUTAGE_AT) {
      stood = true;
      await until(OUTAGE_AT);
      say(`Postgres stands still for ${outage} s`);
      signalTree(postgres.pid, 'SIGSTOP');
      const back = delay(outage * 1000, undefined, { signal }).finally(() =>
        signalTree(postgres.pid, 'SIGCONT'),
      );
      await delay(Math.max(0, outage * 1000 - KILL_BEFORE_END_MS), undefined, { signal });
      await Promise.all([back, compute.crash()]);
      say(`kill ${kill} of ${kills}, while Postgres stood still`);
      continue;
    }
    await until(share);
    await compute.crash();
    say(`kill ${kill} of ${kills}, ${client.answered.size} answered`);
  }
}

/** Waits until the log has as many rows as were answered, or no longer grows. */
async function untilShipped(pool: Pool, answered: number, signal: AbortSignal): Promise<number> {
  const start = performance.now();
  let last = -1;
  let grewAt = start;
  for (;;) {
    const { rows } = await pool.query<{ count: number }>(
      'SELECT count(*)::int AS count FROM prediction WHERE error_code IS NULL',
    );
    const count = rows[0]?.count ?? 0;
    const now = performance.now();
    if (count > last) grewAt = now;
    last = count;
    // Rows whose answer was lost with the front are additional; count again once nothing changes any more.
    if (count >= answered && now - grewAt > 2_000) return now - start;
    if (now - grewAt > 30_000) return now - start;
    await delay(POLL_MS, undefined, { signal });
  }
}

/** Ids of all rows, including duplicates. */
async function* loggedIds(pool: Pool): AsyncGenerator<string> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query(
      'DECLARE ids CURSOR FOR SELECT prediction_id::text AS id FROM prediction WHERE error_code IS NULL',
    );
    for (;;) {
      const { rows } = await client.query<{ id: string }>(`FETCH ${PAGE} FROM ids`);
      if (rows.length === 0) break;
      for (const { id } of rows) yield id;
    }
    await client.query('COMMIT');
  } finally {
    client.release();
  }
}
