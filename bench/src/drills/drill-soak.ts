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
import { type CollectedMemory, collectedMemories } from '../stand/memory-after-collection.ts';
import { residentBytes } from '../stand/resident-bytes.ts';
import { type StoreName, startStores } from '../stand/stores.ts';
import type { Drill } from './drill.ts';
import { slopePerHour } from './soak-slope.ts';

const LOOK_MS = 10_000;
/** First part of the run, in which caches fill and code is compiled. */
const WARM_SHARE = 0.4;
const FAULT_EVERY_MS = 45_000;
const FAULT_MS = 5_000;
const MOST_PER_SECOND = 100;
const MB = 2 ** 20;
/** Fewer samples give no slope. */
const SHORTEST = 10;

/**
 * A steady load for `--hours` with a fault every 45 seconds: a store is stopped or frozen, a process is killed.
 * Slopes by least squares over the time after the warm-up, for the process that grew most, of those that ran from the
 * beginning: one that a fault ended warms up again, and is only printed. `soak_mb_h` counts the memory that a service retains after a full garbage
 * collection, and the whole memory of a runner: between collections, heaps vary by more than a leak of ten megabytes
 * per hour adds in minutes. `soak_resident_mb_h` is the whole memory of services.
 */
export const drillSoak: Drill = async ({ hours, rate, say }): Promise<Figure[]> => {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await benchFolder());
  const stores = stack.use(await startStores(join(folder.path, 'stores')));
  const memories = collectedMemories(join(folder.path, 'memory'));
  const cluster = stack.use(
    await startCluster({
      ...{ folder: folder.path, stores },
      counts: { preprocessor: 2, compute: 2, postprocessor: 2, retrainer: 1 },
      environment: { NODE_OPTIONS: memories.nodeOptions },
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
  const fromTheBeginning = new Set(
    cluster.nodes.flatMap((node) => [`${node.name} ${node.pid}`, ...runnersOf(node).map(([name]) => name)]),
  );
  const begun = performance.now();
  const end = begun + hours * 3_600_000;
  const warmUntil = begun + (end - begun) * WARM_SHARE;
  const series = new Map<string, Look[]>();
  const runners = new Map<string, Point[]>();
  const waiting: Point[] = [];
  let nextFault = begun + FAULT_EVERY_MS;
  let faults = 0;
  while (performance.now() < end) {
    await delay(LOOK_MS);
    const at = performance.now();
    for (const node of at < warmUntil ? [] : cluster.nodes) {
      const { name, pid } = node;
      const memory = pid === undefined ? undefined : await memories.of(pid);
      if (pid === undefined || memory === undefined) continue;
      append(series, `${name} ${pid}`, { at, ...memory, handles: handlesOf(pid) });
      for (const [runner, runnerPid] of runnersOf(node))
        append(runners, runner, { at, value: residentBytes(runnerPid) });
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
  const stayed = ([name]: readonly [string, unknown]): boolean => fromTheBeginning.has(name);
  const slopeOf = (of: Exclude<keyof Look, 'at'>) =>
    steepest(
      [...series]
        .filter(stayed)
        .map(([name, looks]) => [name, looks.map((look) => ({ at: look.at, value: look[of] }))]),
    );
  const used = slopeOf('usedBytes');
  const runner = steepest([...runners].filter(stayed));
  const resident = slopeOf('residentBytes');
  const handles = slopeOf('handles');
  for (const [name, looks] of series)
    say(
      `${name}${fromTheBeginning.has(name) ? '' : ' (restarted)'}: ${fromTo(looks, 'usedBytes', MB)} MB used, ${fromTo(looks, 'residentBytes', MB)} MB resident, ${fromTo(looks, 'handles', 1)} handles`,
    );
  for (const [name, looks] of runners)
    say(
      `${name}${fromTheBeginning.has(name) ? '' : ' (restarted)'}: ${looks
        .map(({ value }) => (value / MB).toFixed(0))
        .filter((_, index) => index % 10 === 0)
        .join(', ')} MB resident`,
    );
  say(`grew most: ${used.name}; of the runners ${runner.name}`);
  return [
    figure('soak_mb_h', [Math.max(used.perHour, runner.perHour) / MB], { atMost: 10 }),
    figure('soak_failed', [failures.length], { atMost: 0 }),
    figure('soak_asked', [asked.length]),
    figure('soak_faults', [faults]),
    figure('soak_resident_mb_h', [resident.perHour / MB]),
    figure('soak_handles_h', [handles.perHour]),
    figure('soak_lag_rows_h', [slopePerHour(waiting)]),
    figure('soak_disk_mb', [diskBytes(join(folder.path, 'data')) / MB]),
  ];
};

/** The runners of a compute node: their names in the report, and their process ids. */
function runnersOf(node: Cluster['nodes'][number]): [string, number][] {
  if (!node.name.startsWith('compute')) return [];
  return node.children().map((pid) => [`${node.name}'s runner ${pid}`, pid]);
}

interface Point {
  readonly at: number;
  readonly value: number;
}

/** One sample of a service; times in milliseconds. */
interface Look extends CollectedMemory {
  readonly at: number;
  readonly handles: number;
}

function append<T>(series: Map<string, T[]>, name: string, value: T): void {
  const known = series.get(name);
  if (known) known.push(value);
  else series.set(name, [value]);
}

/** The series with the largest growth per hour, of those that are long enough; 0 when none grows. */
function steepest(series: readonly (readonly [string, readonly Point[]])[]) {
  return series
    .filter(([, points]) => points.length >= SHORTEST)
    .map(([name, points]) => ({ name, perHour: slopePerHour(points) }))
    .reduce((most, one) => (one.perHour > most.perHour ? one : most), { name: 'none', perHour: 0 });
}

function fromTo(looks: readonly Look[], of: Exclude<keyof Look, 'at'>, unit: number): string {
  return [looks[0], looks.at(-1)]
    .map((look) => ((look?.[of] ?? 0) / unit).toFixed(unit === 1 ? 0 : 1))
    .join(' to ');
}

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
    // Always the same process is killed, so that the others show their slopes.
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
