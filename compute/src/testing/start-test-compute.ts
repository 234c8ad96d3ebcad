import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import { type Log, silentLog } from '@hotloop/platform/log.ts';
import { openPool, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { type BundleStore, directoryBundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { type MemoryRegistry, memoryRegistry } from '@hotloop/platform/registry/memory-registry.ts';
import { createMigratedDatabase } from '@hotloop/platform/testing/test-services.ts';
import { type MemoryNodeReport, memoryNodeReport } from '../nodes/node-report.ts';
import { type Compute, type ComputeOptions, startCompute } from '../service.ts';
import { silentTracing } from './silent-tracing.ts';

export interface TestCompute extends AsyncDisposable {
  readonly compute: Compute;
  readonly registry: MemoryRegistry;
  readonly store: BundleStore;
  readonly report: MemoryNodeReport;
  readonly pool: Pool;
  readonly databaseUrl: string;
  readonly folder: string;
  /** Kills a runner of a version. Throws when it has none. */
  killRunner(model: string, version: number): void;
  /** Polls with a time limit until a version is in a state. */
  until(model: string, version: number, state: string): Promise<void>;
}

/** Compute with its own real database and folder; versions come from an in-memory registry. */
export async function startTestCompute(
  options: Partial<ComputeOptions> = {},
  log: Log = silentLog(),
): Promise<TestCompute> {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createMigratedDatabase());
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-compute-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const pool = stack.use(
    openPool(database.url, { max: 4, queryTimeoutMs: 10_000, application: 'test', log }),
  );
  const tracing = silentTracing();
  const registry = memoryRegistry();
  const store = directoryBundleStore(join(folder, 'store'));
  const report = memoryNodeReport();
  const compute = stack.use(
    await startCompute(
      {
        node: 'test',
        listen: '127.0.0.1:0',
        dataDirectory: join(folder, 'data'),
        drainMs: 5_000,
        ...options,
      },
      {
        registry,
        store,
        pool,
        databaseUrl: database.url,
        report,
        authenticator: createAuthenticator(undefined),
        tracing,
        log,
      },
      new AbortController().signal,
    ),
  );
  return {
    compute,
    registry,
    store,
    report,
    pool,
    folder,
    databaseUrl: database.url,
    killRunner(model, version) {
      const pid = compute.fleet.find(model, version)?.runnerPids[0];
      // kill(0) would signal the whole process group of the test.
      if (pid === undefined) throw new Error(`${model} ${version} has no runner`);
      process.kill(pid, 'SIGKILL');
    },
    async until(model, version, state) {
      // Shorter than the time limit of a test, so that the error names the condition.
      const end = Date.now() + 50_000;
      for (;;) {
        const seen = compute.fleet.find(model, version)?.state ?? 'gone';
        if (seen === state) return;
        if (Date.now() > end) throw new Error(`${model} ${version} is ${seen}, not ${state}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
