import { join } from 'node:path';
import type { HotloopClient } from '@hotloop/client';
import type { Local } from '@hotloop/deploy/local/start-local.ts';
import { createLog } from '@hotloop/platform/log.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { type RawLoad, rawLoad } from '../load/raw-load.ts';
import { benchPerceptron } from '../models/bench-models.ts';
import { PREDICT_MODEL, predictInput, predictManifest } from '../models/bench-requests.ts';
import { connectTo, startBenchLocal } from './bench-local.ts';
import { shippedJournals } from './shipped-journals.ts';

const ANSWERS_MS = 60_000;
const SETTLE_MS = 120_000;

/** All services as `npm start` runs them, with a live model, and two clients of the preprocessor. */
export interface LocalStand extends AsyncDisposable {
  readonly local: Local;
  readonly client: HotloopClient;
  readonly load: RawLoad;
  /** Resolves when everything that was answered is in Postgres. */
  settle(): Promise<void>;
}

/**
 * Starts it with its own backing services, in its own folder. `single` runs the four services in a single process;
 * `environment` is added to that of the services.
 */
export async function startLocalStand(
  folder: string,
  single: boolean,
  environment: Readonly<Record<string, string>> = {},
): Promise<LocalStand> {
  await using opened = new AsyncDisposableStack();
  const dir = join(folder, single ? 'single' : 'four');
  const local = opened.use(
    await startBenchLocal(folder, {
      single,
      dir,
      environment: { HOTLOOP_LOG_LEVEL: 'warn', HOTLOOP_TRACE_RATIO: '0', ...environment },
    }),
  );
  const client = opened.use(await connectTo(local));
  const { onnx } = benchPerceptron('small');
  const { version } = await client.models.push({ manifestYaml: predictManifest(), onnx }).finished();
  await client.models.promote(PREDICT_MODEL, version.version).finished();
  await firstAnswer(client);
  const load = opened.use(rawLoad(local.addresses.preprocessor));
  const databaseUrl = local.backing.databaseUrl;
  const pool = opened.use(
    openPool(databaseUrl, {
      max: 1,
      queryTimeoutMs: 10_000,
      application: 'bench',
      log: createLog({ service: 'bench', level: 'error' }),
    }),
  );
  const settle = () => shippedJournals(dir, pool, SETTLE_MS);
  const stack = opened.move();
  return { local, client, load, settle, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Waits until the preprocessor knows about the new model, at most about a second. */
async function firstAnswer(client: HotloopClient): Promise<void> {
  const end = performance.now() + ANSWERS_MS;
  for (;;) {
    try {
      await client.predict(PREDICT_MODEL, predictInput(0));
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
