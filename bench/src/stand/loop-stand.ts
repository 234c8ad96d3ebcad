import { createHash } from 'node:crypto';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { systemClock } from '@hotloop/platform/clock.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { directoryObjectStore } from '@hotloop/platform/object-store/directory-object-store.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import { migrate } from '@hotloop/platform/postgres/migrate.ts';
import { ensurePartition, partitionDay } from '@hotloop/platform/postgres/partitions.ts';
import { openPool, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { directoryBundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { openRegistry } from '@hotloop/platform/registry/postgres-registry.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { pushModel } from '@hotloop/retrainer/registry/push-model.ts';
import { benchFolder } from './bench-folder.ts';
import { startBenchPostgres } from './bench-postgres.ts';

const COLUMNS = 8;
const QUERY_MS = 600_000;

/** A Postgres with the loop's tables, and models with a simulated log and outcomes. */
export interface LoopStand extends AsyncDisposable {
  readonly databaseUrl: string;
  readonly pool: Pool;
  readonly registry: RegistryReader;
  readonly objects: ObjectStore;
  /** Folder of the bundles and datasets. */
  readonly store: string;
  /** Registers a model of 8 features with the given `outcome`. */
  push(name: string, outcome: string): Promise<void>;
  /** Logs predictions of the last hours, one user each, and one outcome for each: by id, or by the key `user`. */
  fill(name: string, predictions: number, by: 'id' | 'user'): Promise<void>;
}

export async function openLoopStand(): Promise<LoopStand> {
  await using opened = new AsyncDisposableStack();
  const folder = opened.use(await benchFolder());
  const postgres = opened.use(await startBenchPostgres(folder.path));
  const log = silentLog();
  await migrate(postgres.url, { log });
  const pool = opened.use(
    openPool(postgres.url, { max: 6, queryTimeoutMs: QUERY_MS, application: 'bench', log }),
  );
  const registry = opened.use(await openRegistry(pool, postgres.url, log));
  const bundles = directoryBundleStore(folder.path);
  const stack = opened.move();
  return {
    databaseUrl: postgres.url,
    pool,
    registry,
    objects: directoryObjectStore(folder.path),
    store: folder.path,
    async push(name, outcome) {
      const onnx = perceptron({
        inputs: COLUMNS,
        hidden: [],
        outputs: 1,
        activation: 'relu',
        head: 'sigmoid',
        seed: 1,
      });
      const features = Array.from(
        { length: COLUMNS },
        (_, index) => `  - {name: f${index}, from: request.f${index}}`,
      );
      const manifestYaml = `name: ${name}\ntask: binary\nfeatures:\n${features.join('\n')}\noutcome: ${outcome}\n`;
      const onnxSha256 = createHash('sha256').update(onnx).digest('hex');
      const header = { manifestYaml, name: '', onnxSha256, onnxBytes: onnx.length, note: '' };
      const chunks = async function* () {
        yield onnx;
      };
      await pushModel(
        header,
        chunks(),
        'bench',
        { pool, bundles, clock: systemClock },
        { maxOnnxBytes: 1 << 24 },
      );
      await registry.refresh();
    },
    async fill(name, predictions, by) {
      const now = Date.now();
      const client = await pool.connect();
      try {
        for (const day of [partitionDay(now), partitionDay(now - 86_400_000)])
          await ensurePartition(client, 'prediction', day);
      } finally {
        client.release();
      }
      await pool.query(PREDICTIONS, [name, predictions, now]);
      await pool.query(`INSERT INTO logged_count VALUES ('bench', $1, $2)`, [name, predictions]);
      await pool.query(by === 'id' ? OUTCOMES_BY_ID : OUTCOMES_BY_USER, [name]);
      await pool.query('VACUUM ANALYZE prediction, outcome, outcome_waiting');
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

// Input: model, number of predictions, current time in milliseconds. Effect: predictions over the last twelve hours,
// with ids of their time.
const PREDICTIONS = `
  INSERT INTO prediction (prediction_id, at, model, version, variant, entities, "rows", "columns", features, statuses, outputs, node)
  SELECT (lpad(to_hex(ms), 12, '0') || '7' || substr(hash, 1, 3) || '8' || substr(hash, 4, 15))::uuid,
         to_timestamp(ms / 1000.0), $1, 1, 'live', jsonb_build_object('user', 'u' || number), 1, ${COLUMNS},
         decode((SELECT string_agg(substr(hash, 4 * place + 1, 4) || '803f', '') FROM generate_series(0, ${COLUMNS - 1}) place), 'hex'),
         '', decode('0000003f', 'hex'), 'bench'
  FROM (SELECT number, md5($1 || number) AS hash,
               ($3::bigint - 43200000 + (43190000.0 * number / $2)::bigint) AS ms
        FROM generate_series(1, $2::bigint) number) made`;

const OUTCOMES_BY_ID = `
  INSERT INTO outcome (id, model, source, kind, prediction_id, value, occurred_at)
  SELECT prediction_id::text, model, 'sdk', 'label', prediction_id, to_jsonb(get_byte(features, 0) % 2), at + interval '1 s'
  FROM prediction WHERE model = $1`;

const OUTCOMES_BY_USER = `
  INSERT INTO outcome (id, model, source, kind, keys, value, occurred_at)
  SELECT prediction_id::text, model, 'sdk', 'label', entities, to_jsonb(get_byte(features, 0) % 2), at + interval '1 s'
  FROM prediction WHERE model = $1`;
