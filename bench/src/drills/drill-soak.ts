import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { type Figure, figure } from '../figure.ts';
import { steadyLoad } from '../load/steady-load.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { type Cluster, startCluster } from '../stand/cluster.ts';
import { DRILL_MODEL, drillInput, makeLive, openDrillClient } from '../stand/drill-model.ts';
import { residentBytes } from '../stand/resident-bytes.ts';
import { type StoreName, startStores } from '../stand/stores.ts';
import type { Drill } from './drill.ts';
import { slopePerHour } from './soak-slope.ts';

const LOOK_MS = 10_000;
/** Heaps grow to the size that they work in first. */
const WARM_SHARE = 0.4;
const FAULT_EVERY_MS = 45_000;
const FAULT_MS = 5_000;
const MOST_PER_SECOND = 100;
const MB = 2 ** 20;

/**
 * A steady load for `--hours` with a fault every three quarters of a minute: a store is stopped or frozen, a process is killed. Slopes by least
 * squares over the time after the warm-up, of the process that grew most; a process that a fault ended starts again and is
 * left out.
 */
export const drillSoak: Drill = async ({ hours, rate, say }): Promise<Figure[]> => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await benchFolder());
  const stores = stack.use(await startStores(join(folder.path, 'stores')));
  const cluster = stack.use(
    await startCluster({
      ...{ folder: folder.path, stores },
      counts: { preprocessor: 2, compute: 2, postprocessor: 2, retrainer: 1 },
    }),
  );
  const client = stack.use(
    await openDrillClient(cluster.addresses('preprocessor'), cluster.addresses('retrainer'), 8_000),
  );
  await makeLive(client, 1);
  const pool = stack.use(
    openPool(stores.databaseUrl, {
      ...{ max: 1, queryTimeoutMs: 5_000, application: 'drill', log: silentLog() },
    }),
  );
  const load = steadyLoad({
    ...{ client, model: DRILL_MODEL, perSecond: Math.min(rate, MOST_PER_SECOND), input: drillInput },
  });
  const begun = performance.now();
  const end = begun + hours * 3_600_000;
  const warmUntil = begun + (end - begun) * WARM_SHARE;
  const series = new Map<string, { at: number; bytes: number; handles: number }[]>();
  const waiting: { at: number; value: number }[] = [];
  let nextFault = begun + FAULT_EVERY_MS;
  let faults = 0;
  while (performance.now() < end) {
    await delay(LOOK_MS);
    const at = performance.now();
    for (const { name, pid } of cluster.nodes) {
      if (pid === undefined || at < warmUntil) continue;
      const key = `${name} ${pid}`;
      series.set(key, [
        ...(series.get(key) ?? []),
        { at, bytes: residentBytes(pid), handles: handlesOf(pid) },
      ]);
    }
    const rows = await pool
      .query<{ n: number }>('SELECT coalesce(sum(predictions), 0)::int AS n FROM logged_count')
      .then(({ rows: [row] }) => row?.n)
      .catch(() => undefined);
    const answered = load.asked.filter(({ answer }) => answer).length;
    if (rows !== undefined && at >= warmUntil) waiting.push({ at, value: Math.max(0, answered - rows) });
    if (at >= nextFault && at < end - 2 * FAULT_EVERY_MS) {
      await fault(faults++, cluster, stores, say);
      nextFault = at + FAULT_EVERY_MS;
    }
  }
  const asked = await load.stop();
  const failures = asked.flatMap(({ failure }) => failure ?? []);
  if (failures[0] !== undefined) say(`${failures.length} failed, the first with: ${failures[0]}`);
  const whole = [...series].filter(([, points]) => points.length >= 5);
  const slope = (of: 'bytes' | 'handles') =>
    Math.max(
      0,
      ...whole.map(([, points]) => slopePerHour(points.map((point) => ({ at: point.at, value: point[of] })))),
    );
  for (const [name, points] of whole)
    say(
      `${name}: ${Math.round((points[0]?.bytes ?? 0) / MB)} to ${Math.round((points.at(-1)?.bytes ?? 0) / MB)} MB, ${points[0]?.handles} to ${points.at(-1)?.handles} handles`,
    );
  return [
    figure('soak_mb_h', [slope('bytes') / MB], { atMost: 10 }),
    figure('soak_failed', [failures.length], { atMost: 0 }),
    figure('soak_asked', [asked.length]),
    figure('soak_faults', [faults]),
    figure('soak_handles_h', [slope('handles')]),
    figure('soak_lag_rows_h', [slopePerHour(waiting)]),
    figure('soak_disk_mb', [diskBytes(join(folder.path, 'data')) / MB]),
  ];
};

async function fault(
  number: number,
  cluster: Cluster,
  stores: Awaited<ReturnType<typeof startStores>>,
  say: (line: string) => void,
): Promise<void> {
  const kinds: [string, () => Disposable | undefined][] = [
    ...(['redis', 'postgres', 'kafka'] as const).flatMap((store: StoreName): [string, () => Disposable][] => [
      [`${store} frozen`, () => stores.freeze(store)],
      [`${store} stopped`, () => stores.stop(store)],
    ]),
    // One process alone is killed, always the same, so that the others show their slopes.
    ['a runner killed', () => kill(cluster.of('compute')[1]?.children()[0])],
    ['a front killed', () => kill(cluster.of('preprocessor')[1]?.pid)],
  ];
  const [what, begin] = kinds[number % kinds.length] ?? ['nothing', () => undefined];
  say(what);
  using _fault = begin();
  await delay(FAULT_MS);
}

function kill(pid: number | undefined): undefined {
  if (pid !== undefined) process.kill(pid, 'SIGKILL');
}

/** Open files and sockets of a process. Linux. */
function handlesOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}

function diskBytes(folder: string): number {
  let bytes = 0;
  for (const name of readdirSync(folder, { recursive: true }) as string[])
    bytes += statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
  return bytes;
}
