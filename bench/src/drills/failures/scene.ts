import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { type FaultProxy, startFaultProxy } from '../../load/fault-proxy.ts';
import { ROOT, startCluster } from '../../stand/cluster.ts';
import { DRILL_MODEL, makeLive, NO_HISTORY_MODEL, openDrillClient } from '../../stand/drill-model.ts';
import type { Stores } from '../../stand/stores.ts';
import type { Scene } from './failure-cell.ts';

const SHIPPED_MS = 60_000;
const POLL_MS = 250;
const QUERY_MS = 20_000;

export interface SceneOptions {
  /** Used by this scene only. */
  readonly folder: string;
  readonly stores: Stores;
  /** The sources that the services run. */
  readonly root: string;
  readonly outageMs: number;
  readonly say: (line: string) => void;
  readonly record: Scene['record'];
}

/** Two of each service that answers predictions and one retrainer, with a live model. */
export async function openScene(options: SceneOptions): Promise<Scene & AsyncDisposable> {
  await using opened = new AsyncDisposableStack();
  const { folder, stores, root } = options;
  const clockFile = join(folder, 'clock');
  const script = pathToFileURL(join(ROOT, 'bench', 'src', 'drills', 'failures', 'jumping-clock.ts'));
  script.searchParams.set('file', clockFile);
  const toCompute: FaultProxy[] = [];
  const cluster = opened.use(
    await startCluster({
      ...{ folder, stores, root },
      counts: { preprocessor: 2, compute: 2, postprocessor: 2, retrainer: 1 },
      environment: { NODE_OPTIONS: `--import=${script.href}` },
      computeProxy: async (address) => {
        const proxy = opened.use(await startFaultProxy(address));
        toCompute.push(proxy);
        return proxy.address;
      },
    }),
  );
  const client = opened.use(
    await openDrillClient(cluster.addresses('preprocessor'), cluster.addresses('retrainer')),
  );
  for (const model of [DRILL_MODEL, NO_HISTORY_MODEL]) await makeLive(client, 1, model);
  const stack = opened.move();
  return {
    ...{ stores, cluster, client, toCompute },
    outageMs: options.outageMs,
    say: options.say,
    record: options.record,
    setClock(shiftMs) {
      writeFileSync(`${clockFile}.new`, String(shiftMs));
      renameSync(`${clockFile}.new`, clockFile);
    },
    notLogged: (ids) => notLogged(stores.databaseUrl, ids),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Waits while rows still arrive: rows that are missing when none has arrived for a while are lost. */
async function notLogged(databaseUrl: string, ids: readonly string[]): Promise<string[]> {
  await using pool = openPool(databaseUrl, {
    ...{ max: 1, queryTimeoutMs: QUERY_MS, application: 'drill', log: silentLog() },
  });
  let missing = [...ids];
  const end = performance.now() + SHIPPED_MS;
  let quietSince = performance.now();
  while (missing.length > 0 && performance.now() < end && performance.now() - quietSince < 10_000) {
    try {
      const { rows } = await pool.query<{ id: string }>(
        'SELECT prediction_id::text AS id FROM prediction WHERE prediction_id = ANY($1::uuid[]) AND error_code IS NULL',
        [missing],
      );
      const found = new Set(rows.map(({ id }) => id));
      if (found.size > 0) quietSince = performance.now();
      missing = missing.filter((id) => !found.has(id));
    } catch {
      quietSince = performance.now();
    }
    if (missing.length > 0) await delay(POLL_MS);
  }
  return missing;
}
