import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '@hotloop/deploy/backing/free-port.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { migrate } from '@hotloop/platform/postgres/migrate.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import type { BenchOptions } from '../bench.ts';
import { type Child, startChild } from '../child.ts';
import { type Figure, figure, ratios } from '../figure.ts';
import { interleave, type Side, warm } from '../interleave.ts';
import { benchPerceptron } from '../models/bench-models.ts';
import { OIP, oipRequest } from '../models/oip-request.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { startBenchPostgres } from '../stand/bench-postgres.ts';
import { startKillableService } from '../stand/killable-service.ts';
import { registerModel } from '../stand/register-model.ts';

const COUNTS = [2, 4, 8];
/** A saturated compute and its runner use about this many cores; the load generator uses as many again. */
const CORES_EACH = 2;
/**
 * Connections per compute: enough that the kernel, which distributes connections blindly, gives each compute its
 * share.
 */
const CONNECTIONS = 16;
const CALLERS = 64;
const START_MS = 180_000;
const QUERY_MS = 30_000;
const LOAD_CHILD = fileURLToPath(new URL('../load/load-child.ts', import.meta.url));

/**
 * Several computes of one machine on one port (HOTLOOP_SHARE_PORT): ModelInfer answers per second of 2, 4 and 8 of
 * them, divided by those of one with its own port. Each side has the same number of connections and callers per
 * compute, from the same number of processes. Counts for which the machine has too few cores are skipped, and
 * reported as such.
 */
export async function processesBench({ rounds, seconds, say }: BenchOptions): Promise<Figure[]> {
  const cores = availableParallelism();
  // Two are always tried, because sharing a port does not depend on the number of cores.
  const counts = COUNTS.filter((count) => count === 2 || count * CORES_EACH <= cores);
  for (const count of COUNTS)
    if (!counts.includes(count))
      say(`${count} processes: not measured, ${cores} cores are too few (${count * CORES_EACH} are needed)`);
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await benchFolder());
  const postgres = stack.use(await startBenchPostgres(folder.path));
  const log = silentLog();
  await migrate(postgres.url, { log });
  const pool = stack.use(
    openPool(postgres.url, { ...{ max: 1, queryTimeoutMs: QUERY_MS }, application: 'bench', log }),
  );
  const model = benchPerceptron('small');
  await registerModel(pool, join(folder.path, 'store'), model);
  const request = oipRequest(model).toString('base64');
  const sides: Side[] = [];
  const signal = AbortSignal.timeout(START_MS);
  for (const count of [1, ...counts]) {
    const address = `127.0.0.1:${await freePort()}`;
    for (let index = 1; index <= count; index++)
      stack.use(
        await startKillableService(
          {
            script: 'compute/src/main.ts',
            listen: address,
            environment: {
              DATABASE_URL: postgres.url,
              HOTLOOP_STORE: join(folder.path, 'store'),
              HOTLOOP_DATA: join(folder.path, `data-${count}-${index}`),
              HOTLOOP_NODE: `of-${count}-${index}`,
              HOTLOOP_SHARE_PORT: String(count > 1),
            },
          },
          signal,
        ),
      );
    const children: Child[] = [];
    for (let index = 0; index < count; index++)
      children.push(stack.use(await startChild(LOAD_CHILD, { args: [address, String(CONNECTIONS)] })));
    sides.push({
      name: String(count),
      async run(forSeconds) {
        const order = { path: OIP.unary, request, callers: CALLERS / CONNECTIONS, seconds: forSeconds };
        const answered = await Promise.all(
          children.map(({ ask }) => ask<number>('unary', order, forSeconds * 1000 + QUERY_MS)),
        );
        return {
          perSecond: answered.reduce((sum, one) => sum + one, 0),
          ...{ p50Ms: Number.NaN, p99Ms: Number.NaN },
        };
      },
    });
  }
  await warm(sides, seconds, say);
  const results = await interleave(sides, rounds, seconds, say);
  return counts.map((count) =>
    figure(
      `processes_${count}`,
      ratios(results, String(count), '1', ({ perSecond }) => perSecond),
    ),
  );
}
