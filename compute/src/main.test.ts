import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { directoryBundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { createMigratedDatabase } from '@hotloop/platform/testing/test-services.ts';
import { describe, expect, it } from 'vitest';
import { itemMaker } from './testing/infer-items.ts';
import { featureManifest, storeVersion } from './testing/model-bundles.ts';
import { openInferenceClient } from './testing/open-inference-client.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

type Environment = Readonly<Record<string, string>>;

interface Site extends AsyncDisposable {
  readonly pool: Pool;
  readonly environment: Environment;
  /** Starts the process and resolves when it serves. It is always killed at the end of the test. */
  start(settings?: Environment): Promise<{ readonly child: ChildProcess; readonly address: string }>;
  /** State of the only version on the node. */
  state(): Promise<string | undefined>;
  /** Why the version could not be made ready. */
  detail(): Promise<string | undefined>;
  logged(): Promise<number>;
}

/** A database with one live version, and the model store folder that holds its bundle. */
async function makeSite(): Promise<Site> {
  const stack = new AsyncDisposableStack();
  const log = silentLog();
  const database = stack.use(await createMigratedDatabase());
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-main-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const pool = stack.use(openPool(database.url, { max: 2, queryTimeoutMs: 5_000, application: 'test', log }));
  const record = await storeVersion(
    directoryBundleStore(join(folder, 'store')),
    1,
    featureManifest('tiny', 4),
  );
  await pool.query("INSERT INTO model (name, live_version) VALUES ('tiny', 1)");
  await pool.query(
    'INSERT INTO model_version (model, version, bundle_sha256, onnx_sha256, manifest) VALUES ($1, 1, $2, $3, $4)',
    ['tiny', record.bundleSha256, record.onnxSha256, record.manifest],
  );
  const environment = {
    DATABASE_URL: database.url,
    HOTLOOP_LISTEN: '127.0.0.1:0',
    HOTLOOP_HTTP_LISTEN: '127.0.0.1:0',
    HOTLOOP_STORE: join(folder, 'store'),
    HOTLOOP_DATA: join(folder, 'data'),
    HOTLOOP_NODE: 'node-1',
    HOTLOOP_LOG_LEVEL: 'error',
  };
  const state = async () =>
    (await pool.query('SELECT state FROM node_version WHERE node = $1', ['node-1'])).rows[0]?.state;
  return {
    pool,
    environment,
    state,
    detail: async () =>
      (await pool.query('SELECT detail FROM node_version WHERE node = $1', ['node-1'])).rows[0]?.detail,
    async start(settings = {}) {
      const child = startMain({ ...environment, ...settings });
      stack.defer(() => void child.kill('SIGKILL'));
      const address = await readyAddress(child);
      return { child, address };
    },
    logged: async () =>
      (await pool.query('SELECT count(*)::int AS n FROM prediction WHERE error_code IS NULL')).rows[0].n,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const itemOf = itemMaker();
const make = () => ({ ...itemOf('tiny', 1, [[1, 2, 3, 4]]), candidates: [], degraded: [] });

describe('the compute process', () => {
  it('serves the live version, and on SIGTERM answers requests in flight, ships its log and signs off', async () => {
    await using site = await makeSite();
    const { child, address } = await site.start();
    await expect.poll(() => site.state()).toBe('ready');
    await using client = openInferenceClient(address);
    await client.framed.call(make(), { timeoutMs: 10_000 });
    const answers = Array.from({ length: 100 }, () => client.framed.call(make(), { timeoutMs: 10_000 }));
    await answers[0];
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    const settled = await Promise.allSettled(answers);
    const answered = settled.filter((result) => result.status === 'fulfilled').length + 1;
    const [code] = await exited;
    expect(code).toBe(0);
    expect(await site.logged()).toBeGreaterThanOrEqual(answered);
    expect(answered).toBeGreaterThan(1);
    expect(await site.state()).toBeUndefined();
  });

  it('runs models on the execution provider of the node where their manifest names none', async () => {
    await using site = await makeSite();
    await site.start({ HOTLOOP_EXECUTION_PROVIDERS: 'cuda' });
    await expect.poll(() => site.detail(), { timeout: 20_000 }).toMatch(/cuda/i);
  });

  it('refuses to start with an unknown execution provider, with a message of one line', async () => {
    await using site = await makeSite();
    const environment = { ...site.environment, HOTLOOP_EXECUTION_PROVIDERS: 'gpu' };
    const child = spawn(process.execPath, [MAIN], { env: environment, stdio: ['ignore', 'ignore', 'pipe'] });
    const said = text(child.stderr);
    const [code] = await once(child, 'exit');
    expect(code).not.toBe(0);
    expect(await said).toMatch(/cannot start: HOTLOOP_EXECUTION_PROVIDERS: must be of cpu, cuda[^\n]*\n$/);
  });

  it('loses no answered prediction when it is killed under load, and logs none twice', async () => {
    await using site = await makeSite();
    const answered = new Set<string>();
    for (let life = 0; life < 2; life++) {
      const { child, address } = await site.start();
      await using client = openInferenceClient(address);
      const worker = async () => {
        for (;;) {
          const item = make();
          await client.framed.call({ ...item }, { timeoutMs: 30_000 });
          answered.add(item.predictionId);
        }
      };
      const workers = Promise.allSettled(Array.from({ length: 32 }, worker));
      const before = answered.size;
      await expect.poll(() => answered.size - before).toBeGreaterThan(500);
      child.kill('SIGKILL');
      await once(child, 'exit');
      await client.framed.close(0);
      await workers;
    }
    const { child } = await site.start();
    child.kill('SIGTERM');
    await once(child, 'exit');
    const { rows } = await site.pool.query('SELECT prediction_id FROM prediction');
    const logged = new Set(rows.map((row) => row.prediction_id));
    expect(logged.size).toBe(rows.length);
    expect([...answered].filter((id) => !logged.has(id))).toEqual([]);
  }, 120_000);
});

function startMain(environment: Environment): ChildProcess {
  return spawn(process.execPath, [MAIN], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
}

async function readyAddress(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('no output');
  for await (const line of createInterface({ input: child.stdout })) {
    const message = JSON.parse(line);
    if (message.ready) return message.address;
  }
  throw new Error('compute ended before it was ready');
}
