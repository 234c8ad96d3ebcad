import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import type { Tensor } from '@hotloop/model/tensor.ts';
import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import { systemClock } from '@hotloop/platform/clock.ts';
import { Closing } from '@hotloop/platform/closing.ts';
import { type Log, silentLog } from '@hotloop/platform/log.ts';
import { directoryObjectStore } from '@hotloop/platform/object-store/directory-object-store.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import { ensurePartition, partitionDay } from '@hotloop/platform/postgres/partitions.ts';
import { openPool, type Pool, type PoolClient } from '@hotloop/platform/postgres/pool.ts';
import { type BundleStore, directoryBundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { openRegistry } from '@hotloop/platform/registry/postgres-registry.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { startTracing, type Tracing } from '@hotloop/platform/telemetry/tracing.ts';
import { createMigratedDatabase, createTestRedis } from '@hotloop/platform/testing/test-services.ts';
import { predictionTimeMs, randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { pushModel } from '../registry/push-model.ts';
import { type Retrainer, type RetrainerAdapters, type RetrainerOptions, startRetrainer } from '../service.ts';

/** The real stores of a retrainer, for one test alone: `await using stores = await openStores()`. */
export interface Stores extends AsyncDisposable {
  readonly databaseUrl: string;
  readonly pool: Pool;
  readonly bundles: BundleStore;
  readonly objects: ObjectStore;
  readonly registry: RegistryReader;
  readonly tracing: Tracing;
  readonly log: Log;
}

export async function openStores(log: Log = silentLog()): Promise<Stores> {
  const closing = new Closing(log);
  try {
    const database = closing.use('database', await createMigratedDatabase());
    const folder = await mkdtemp(join(tmpdir(), 'hotloop-retrainer-'));
    closing.defer('folder', () => rm(folder, { recursive: true, force: true }));
    const pool = closing.use(
      'pool',
      openPool(database.url, { max: 6, queryTimeoutMs: 20_000, application: 'retrainer-test', log }),
    );
    const registry = closing.use('registry', await openRegistry(pool, database.url, log));
    const tracing = closing.use('tracing', startTracing({ service: 'retrainer', sampleRatio: 0 }));
    return {
      databaseUrl: database.url,
      pool,
      bundles: directoryBundleStore(folder),
      objects: directoryObjectStore(folder),
      registry,
      tracing,
      log,
      [Symbol.asyncDispose]: async () => void (await closing.close(20_000)),
    };
  } catch (error) {
    await closing.close(10_000);
    throw error;
  }
}

export interface StartedRetrainer extends AsyncDisposable {
  readonly retrainer: Retrainer;
  readonly queueUrl: string;
}

/** A retrainer over the stores, with a queue of its own, on a free port. */
export async function startTestRetrainer(
  stores: Stores,
  options: Partial<RetrainerOptions> = {},
  adapters: Partial<RetrainerAdapters> = {},
): Promise<StartedRetrainer> {
  const redis = await createTestRedis('queue');
  const retrainer = await startRetrainer(
    {
      listen: '127.0.0.1:0',
      drainMs: 2_000,
      monitors: false,
      queueUrl: redis.url,
      promotion: { timeoutMs: 20_000, pollMs: 20, oldFailureMs: 300 },
      ...options,
    },
    { ...stores, authenticator: createAuthenticator(undefined), ...adapters },
  );
  return {
    retrainer,
    queueUrl: redis.url,
    async [Symbol.asyncDispose]() {
      await retrainer[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    },
  };
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A linear model over two columns, x and y, with the output `score`. */
export function linearModel(seed = 1, inputs = 2): Uint8Array {
  return perceptron({ inputs, hidden: [], outputs: 1, activation: 'relu', head: 'sigmoid', seed });
}

export function manifestText(name: string, rest = ''): string {
  return `name: ${name}
task: binary
features:
  - {name: x, from: request.x}
  - {name: y, from: request.y}
${rest}`;
}

/** Pushes a model without the wire. Returns its version. */
export async function push(stores: Stores, manifestYaml: string, onnx: Uint8Array): Promise<number> {
  const header = {
    manifestYaml,
    name: '',
    onnxSha256: digestOf(onnx),
    onnxBytes: onnx.length,
    note: '',
  };
  const chunks = async function* () {
    yield onnx;
  };
  const pushed = await pushModel(
    header,
    chunks(),
    'test',
    { ...stores, clock: systemClock },
    { maxOnnxBytes: 1 << 24 },
  );
  await stores.registry.refresh();
  return pushed.version;
}

/** Plays a compute node: says it is alive, and reports versions as told. */
export async function nodeSays(
  pool: Pool,
  node: string,
  model: string,
  version: number,
  state: string,
  detail = '',
  reason = '',
): Promise<void> {
  await pool.query(
    'INSERT INTO node (node, seen_at) VALUES ($1, now()) ON CONFLICT (node) DO UPDATE SET seen_at = now()',
    [node],
  );
  await pool.query(
    `INSERT INTO node_version (node, model, version, state, detail, reason) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (node, model, version) DO UPDATE SET state = $4, detail = $5, reason = $6, seen_at = now()`,
    [node, model, version, state, detail, reason],
  );
}

/** Plays a compute node that loads whatever is wished for, until disposal. */
export function obedientNode(pool: Pool, node = 'node-1'): AsyncDisposable {
  const stop = new AbortController();
  const running = (async () => {
    while (!stop.signal.aborted) {
      await pool.query(
        'INSERT INTO node (node, seen_at) VALUES ($1, now()) ON CONFLICT (node) DO UPDATE SET seen_at = now()',
        [node],
      );
      await pool.query(
        `INSERT INTO node_version (node, model, version, state)
         SELECT DISTINCT $1, name, wished, 'ready' FROM (
           SELECT name, unnest(array[live_version, previous_version, target_version]) AS wished FROM model
           UNION SELECT model, (arm ->> 'version')::integer FROM rollout, jsonb_array_elements(traffic -> 'arms') arm
         ) known WHERE wished IS NOT NULL
         ON CONFLICT (node, model, version) DO UPDATE SET state = 'ready', seen_at = now()`,
        [node],
      );
      await sleep(30, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

/** Makes a version live at once, as a promotion would. */
export async function makeLive(stores: Stores, model: string, version: number): Promise<void> {
  await stores.pool.query(
    `UPDATE model SET live_version = $2, previous_version = live_version, generation = generation + 1 WHERE name = $1`,
    [model, version],
  );
  await stores.registry.refresh();
}

export interface LoggedPrediction {
  readonly model: string;
  readonly at?: number;
  readonly version?: number;
  readonly variant?: string;
  readonly entities?: Readonly<Record<string, string>>;
  readonly candidates?: readonly string[];
  readonly features: readonly number[];
  /** Instead of `features`, where they feed several inputs. */
  readonly tensors?: readonly Tensor[];
  readonly columns?: number;
  readonly errorCode?: string;
}

const ids = randomPredictionIds();

/** Writes rows as compute would. Returns their ids. */
export async function logPredictions(pool: Pool, rows: readonly LoggedPrediction[]): Promise<string[]> {
  const client = await pool.connect();
  try {
    const logged: string[] = [];
    for (const row of rows) {
      const at = row.at ?? Date.now();
      const id = ids.next(at);
      await ensureDay(client, predictionTimeMs(id));
      const columns = row.tensors ? 0 : (row.columns ?? 2);
      const contents = row.tensors?.map((tensor) => tensor.contents);
      const spec = row.tensors?.map(({ name, datatype, shape }) => ({ name, datatype, shape }));
      await client.query(
        `INSERT INTO prediction (prediction_id, at, model, version, variant, entities, candidates, "rows", "columns",
           features, statuses, error_code, node, input_spec)
         VALUES ($1, to_timestamp($2 / 1000.0), $3, $4, $5, $6, $7, $8, $9, $10, '', $11, 'node-1', $12)`,
        [
          id,
          at,
          row.model,
          row.version ?? 1,
          row.variant ?? 'live',
          JSON.stringify(row.entities ?? {}),
          row.candidates ?? [],
          row.tensors ? (row.tensors[0]?.shape[0] ?? 0) : row.features.length / columns,
          columns,
          contents ? Buffer.concat(contents) : Buffer.from(new Float32Array(row.features).buffer),
          row.errorCode ?? null,
          JSON.stringify(spec ?? []),
        ],
      );
      await client.query(
        `INSERT INTO logged_count VALUES ('fixture', $1, 1)
         ON CONFLICT (journal, model) DO UPDATE SET predictions = logged_count.predictions + 1`,
        [row.model],
      );
      logged.push(id);
    }
    return logged;
  } finally {
    client.release();
  }
}

const days = new WeakMap<object, Set<number>>();

async function ensureDay(client: PoolClient, ms: number): Promise<void> {
  const known = days.get(client) ?? new Set();
  days.set(client, known);
  const day = partitionDay(ms);
  if (known.has(day)) return;
  await ensurePartition(client, 'prediction', day);
  await ensurePartition(client, 'decision', day);
  known.add(day);
}

/** Looks again until it holds; fails after the bound. */
export async function eventually<T>(
  look: () => Promise<T | null | undefined | false>,
  ms = 20_000,
): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > end) throw new Error(`it did not come about within ${ms} ms`);
    await sleep(20);
  }
}
