import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { describe, expect, it } from 'vitest';
import { linearModel, logPredictions, manifestText, openStores, push } from '../testing/fixture.ts';
import { COLLECT_DEFAULTS } from './collect-dataset.ts';
import { frozenPart } from './dataset.ts';
import { datasetCollector } from './dataset-collector.ts';

const ROWS = 5_400;
/** The process runs at low priority, so on a busy machine it gets little time. */
const LIMIT_MS = 150_000;
const TEST_MS = 180_000;

describe('the process that joins a dataset', () => {
  it(
    'waits for the predictions of rows that were just labelled, and uses all of them',
    async () => {
      await using stores = await openStores();
      const { pool, objects, databaseUrl } = stores;
      await push(stores, manifestText('m'), linearModel());
      // Makes the partition of today, and is no part of the dataset's labels.
      await logPredictions(pool, [{ model: 'm', features: [1, 2] }]);
      const ids = randomPredictionIds();
      const made = Array.from({ length: ROWS }, () => ids.next(Date.now()));
      await pool.query(
        `INSERT INTO outcome (id, model, source, kind, prediction_id, value, occurred_at)
       SELECT id::text, 'm', 'sdk', 'label', id, to_jsonb(number % 2), now() FROM unnest($1::uuid[]) WITH ORDINALITY AS made (id, number)`,
        [made],
      );
      const collector = datasetCollector({ pool, objects, databaseUrl, waitMs: 20_000 });
      const collecting = collector.collect(
        parseManifest(manifestText('m')),
        1,
        Date.now(),
        COLLECT_DEFAULTS,
        {
          timeoutMs: LIMIT_MS,
        },
      );
      await pool.query(
        `INSERT INTO prediction (prediction_id, at, model, version, variant, "rows", "columns", features, statuses, node)
       SELECT id, now(), 'm', 1, 'live', 1, 2, $2, '', 'n' FROM unnest($1::uuid[]) id`,
        [made, Buffer.from(Float32Array.of(1, 2).buffer)],
      );
      const collected = await collecting;
      expect(collected).toMatchObject({ examples: ROWS, missing: 0, unmatched: 0, unusable: 0 });
      expect(collected.training.rows + collected.holdout.rows).toBe(ROWS);
      expect(frozenPart(collected)).toBeNull();
    },
    TEST_MS,
  );

  it(
    'reports a Postgres that cannot be reached, so that the run is tried again',
    async () => {
      await using stores = await openStores();
      const { pool, objects } = stores;
      await push(stores, manifestText('m'), linearModel());
      const databaseUrl = 'postgres://hotloop@127.0.0.1:1/unreachable';
      const collector = datasetCollector({ pool, objects, databaseUrl, waitMs: 0 });
      const limits = { timeoutMs: LIMIT_MS };
      await expect(
        collector.collect(parseManifest(manifestText('m')), 1, Date.now(), COLLECT_DEFAULTS, limits),
      ).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    },
    TEST_MS,
  );

  it('ends with the reason at its deadline or when it is cancelled', async () => {
    await using stores = await openStores();
    const { pool, objects, databaseUrl } = stores;
    await push(stores, manifestText('m'), linearModel());
    const collector = datasetCollector({ pool, objects, databaseUrl, waitMs: 0 });
    const collect = (limits: { timeoutMs: number; signal?: AbortSignal }) =>
      collector.collect(parseManifest(manifestText('m')), 1, Date.now(), COLLECT_DEFAULTS, limits);
    await expect(collect({ timeoutMs: 1 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await expect(collect({ timeoutMs: 60_000, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });
});
