import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  constants,
  monitorEventLoopDelay,
  type PerformanceEntry,
  PerformanceObserver,
} from 'node:perf_hooks';
import { memoryNodeReport } from '@hotloop/compute/nodes/node-report.ts';
import type { PredictionRow } from '@hotloop/compute/prediction-log/prediction-row.ts';
import { startCompute } from '@hotloop/compute/service.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import { Closing } from '@hotloop/platform/closing.ts';
import type { Journal } from '@hotloop/platform/journal/journal.ts';
import { createLog } from '@hotloop/platform/log.ts';
import { migrate } from '@hotloop/platform/postgres/migrate.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { directoryBundleStore, sha256 } from '@hotloop/platform/registry/bundle-store.ts';
import { memoryRegistry } from '@hotloop/platform/registry/memory-registry.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { releaseBytes } from '@hotloop/platform/release-bytes.ts';
import { startTracing } from '@hotloop/platform/telemetry/tracing.ts';
import { tuneMemory } from '@hotloop/platform/tune-memory.ts';
import { serveCommands } from './commands.ts';
import { residentBytes } from './resident-bytes.ts';

/** How compute is started; the first argument, as JSON. */
export interface ComputeChildOptions {
  readonly databaseUrl: string;
  readonly node: string;
  /** Folder of this compute only: store and journal. */
  readonly folder: string;
  /** True: the log can be switched off from outside; answers are then not logged. */
  readonly switchesLog?: boolean;
  /** Memory of all runners together; default: compute's. */
  readonly memoryBudgetBytes?: number;
}

export interface PutVersion {
  readonly manifestYaml: string;
  readonly version: number;
  /** File with the model's bytes. */
  readonly path: string;
}

export interface SetRoles {
  readonly model: string;
  readonly live: number | null;
  readonly previous: number | null;
  readonly target: number | null;
}

/** Resident memory in bytes. */
export interface ComputeMemory {
  readonly front: number;
  readonly runners: number;
}

/** Delay of the event loop, in milliseconds. */
export interface LoopDelay {
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Pauses of the garbage collector since the last call, without incremental steps. */
export interface Collections {
  readonly pausesMs: readonly number[];
}

const RESOLUTION_MS = 1;
const DRAIN_MS = 10_000;
const READY_MS = 60_000;
const POLL_MS = 5;

/** Serving without a log, for comparison. */
class LogSwitch {
  isOn = true;

  /**
   * Wraps the journal so that rows are dropped while the log is off. On the path of a request, the calls are plain
   * method calls.
   */
  readonly wrap = (journal: Journal<PredictionRow>): Journal<PredictionRow> => {
    const done = Promise.resolve();
    return {
      name: journal.name,
      directory: journal.directory,
      table: journal.table,
      provisional: journal.provisional,
      append: (row, durability) => (this.isOn ? journal.append(row, durability) : done),
      full: () => journal.full(),
      written: () => journal.written(),
      bytes: () => journal.bytes(),
      fullness: () => journal.fullness(),
      onWritten: (listener) => journal.onWritten(listener),
      release: (before) => journal.release(before),
      [Symbol.asyncDispose]: () => journal[Symbol.asyncDispose](),
    };
  };
}

/**
 * Compute as it is installed, in its own process, with commands from outside: set the roles of versions (an in-memory
 * registry), read the delay of its event loop, its memory and the lag of its log.
 */
async function main(): Promise<void> {
  const options = JSON.parse(process.argv[2] ?? '') as ComputeChildOptions;
  const log = createLog({ service: options.node, level: 'error' });
  const closing = new Closing(log);
  await migrate(options.databaseUrl, { log });
  const pool = closing.use(
    'Postgres',
    openPool(options.databaseUrl, { max: 2, queryTimeoutMs: 30_000, application: options.node, log }),
  );
  const logSwitch = new LogSwitch();
  const registry = memoryRegistry();
  const store = directoryBundleStore(join(options.folder, 'store'));
  const tracing = closing.use('tracing', startTracing({ service: options.node, sampleRatio: 0 }));
  const compute = closing.use(
    'compute',
    await startCompute(
      {
        node: options.node,
        listen: '127.0.0.1:0',
        dataDirectory: join(options.folder, 'data'),
        drainMs: DRAIN_MS,
        ...(options.memoryBudgetBytes === undefined
          ? {}
          : { fleet: { memoryBudgetBytes: options.memoryBudgetBytes } }),
        ...(options.switchesLog ? { wrapJournal: logSwitch.wrap } : {}),
      },
      {
        registry,
        store,
        pool,
        databaseUrl: options.databaseUrl,
        report: memoryNodeReport(),
        authenticator: createAuthenticator(undefined),
        tracing,
        log,
      },
      new AbortController().signal,
    ),
  );

  const records = new Map<string, Map<number, VersionRecord>>();
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  const announce = ({ model, live, previous, target }: SetRoles) => {
    registry.set({
      name: model,
      liveVersion: live,
      previousVersion: previous,
      targetVersion: target,
      generation: (live ?? 0) * 2 + 1,
      versions: new Map(records.get(model)),
    });
    registry.publish();
  };
  const pausesMs: number[] = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as (PerformanceEntry & { detail: { kind?: number } })[])
      if (entry.detail.kind !== constants.NODE_PERFORMANCE_GC_INCREMENTAL) pausesMs.push(entry.duration);
  }).observe({ entryTypes: ['gc'] });
  serveCommands({
    async put({ manifestYaml, version, path }: PutVersion) {
      const onnx = await readFile(path);
      const manifest = parseManifest(manifestYaml);
      const bundleSha256 = await store.put({ manifestYaml, onnx });
      const versions = records.get(manifest.name) ?? new Map<number, VersionRecord>();
      records.set(manifest.name, versions);
      const onnxSha256 = sha256(onnx);
      releaseBytes(onnx);
      const model = manifest.name;
      versions.set(version, { model, version, bundleSha256, onnxSha256, manifest, parentVersion: null });
    },
    /** Without waiting until anything is loaded. */
    announce: (roles: SetRoles) => announce(roles),
    /** Resolves when the live and the target version are ready. */
    async roles(roles: SetRoles) {
      announce(roles);
      const { model, live, target } = roles;
      const end = performance.now() + READY_MS;
      for (const version of [live, target]) {
        if (version === null) continue;
        for (;;) {
          const slot = compute.fleet.find(model, version);
          if (slot?.state === 'ready') break;
          if (slot?.state === 'failed' || performance.now() > end)
            throw new Error(`${model} ${version} is ${slot?.state ?? 'absent'}: ${slot?.detail ?? ''}`);
          await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        }
      }
    },
    /** Versions that this node has loaded. */
    held: () => [...compute.fleet.slots()].length,
    memory(): ComputeMemory {
      const pids = [...compute.fleet.slots()].flatMap((slot) => slot.runnerPids);
      const runners = pids.reduce((total, pid) => total + residentBytes(pid), 0);
      return { front: residentBytes(process.pid), runners };
    },
    watchDelay() {
      delay.reset();
      delay.enable();
    },
    /** Since `watchDelay`; the timer's own period does not count as delay. */
    delay(): LoopDelay {
      delay.disable();
      const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
      return { p99Ms: late(delay.percentile(99)), maxMs: late(delay.max) };
    },
    /** Rows in Postgres that were answered since a time, in milliseconds since 1970. */
    async loggedSince(at: number): Promise<number> {
      const counted = await pool.query<{ rows: number }>(
        'SELECT count(*)::int AS rows FROM prediction WHERE at >= to_timestamp($1 / 1000.0)',
        [at],
      );
      return counted.rows[0]?.rows ?? 0;
    },
    /**
     * Time between the answers and the commits of the rows since a time, in seconds: quantile `q`. Needs Postgres'
     * track_commit_timestamp.
     */
    async logLag({ at, q }: { at: number; q: number }): Promise<number> {
      const lags = await pool.query<{ lag: number }>(
        `SELECT percentile_cont($2) WITHIN GROUP (
           ORDER BY extract(epoch FROM pg_xact_commit_timestamp(xmin) - at))::float8 AS lag
         FROM prediction WHERE at >= to_timestamp($1 / 1000.0)`,
        [at, q],
      );
      return lags.rows[0]?.lag ?? Number.NaN;
    },
    switchLog(isOn: boolean) {
      logSwitch.isOn = isOn;
    },
    collections: (): Collections => ({ pausesMs: pausesMs.splice(0) }),
    flush: (deadlineMs: number) => compute.flushLog(deadlineMs),
  });
  console.log(JSON.stringify({ ready: true, port: Number(compute.address.split(':').at(-1)) }));
  process.once('disconnect', () => {
    void closing.close(DRAIN_MS * 2).finally(() => process.exit(0));
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
}

if (import.meta.main) {
  tuneMemory();
  await main();
}
