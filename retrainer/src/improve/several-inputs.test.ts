import { createHash, randomUUID } from 'node:crypto';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { record } from '@hotloop/model/testing/manifests.ts';
import { systemClock } from '@hotloop/platform/clock.ts';
import { ParquetReader } from '@hotloop/platform/parquet/parquet-file.ts';
import { describe, expect, it } from 'vitest';
import { COLLECT_DEFAULTS } from '../datasets/collect-dataset.ts';
import { datasetCollector } from '../datasets/dataset-collector.ts';
import { datasetKey } from '../datasets/dataset-store.ts';
import { createRun, findRun } from '../runs/run-store.ts';
import { workOnRun } from '../runs/run-worker.ts';
import { logPredictions, makeLive, openStores, type Stores } from '../testing/fixture.ts';
import { dependenciesOf, workerOptions } from '../testing/labelled-model.ts';
import { scoreModel, timeModels } from '../training/score-model.ts';
import { train } from '../training/train.ts';
import { trainFirstVersion } from './train-first-version.ts';
import type { Trainer } from './trainer.ts';

/** Trains and scores in this process, which spares the test four child processes. */
const trainer: Trainer = {
  async train({ modelBytes, dataset, settings }) {
    const trained = await train(modelBytes, dataset, settings);
    return { ...trained, sha256: createHash('sha256').update(trained.modelBytes).digest('hex') };
  },
  async score({ models, dataset, output }) {
    const scores = await Promise.all(models.map((model) => scoreModel(model, dataset, output)));
    const times = models.length > 1 ? await timeModels(models, dataset, output) : [];
    return scores.map((one, index) => ({ ...one, milliseconds: times[index] ?? 0 }));
  },
};

const SHOPS = ['north', 'south', 'east', 'west'];
const YAML = `name: m
features:
  - {name: shop, from: request.shop, transform: [{id: {values: [${SHOPS}]}}], input: shop_id}
  - {name: price, from: request.price, input: wide}
  - {name: member, from: request.member, type: flag, dtype: bool, input: member}
  - {name: visits, from: request.visits, input: wide}
training:
  network: {kind: wide-and-deep, hidden: [8], factors: 4}
  epochs: 30
  batch: 16
  optimizer: {adam: {learning_rate: 0.03}}
  gate: {min_examples: 10, slices: [shop], slice_drop: 0.9}
`;
const requestOf = (index: number) => ({
  shop: SHOPS[index % 4]!,
  price: 1_000 + ((index * 37) % 500),
  member: index % 3 === 0,
  visits: (index * 7) % 11,
});

/** Logs predictions as compute would have, and what happened. */
async function log(stores: Stores, yaml: string, count: number, labelOf: (shop: string) => number) {
  const plan = compileFeaturePlan(parseManifest(yaml));
  const at = Date.now() - 60_000;
  const rows = Array.from({ length: count }, (_, index) => requestOf(index));
  const ids = await logPredictions(
    stores.pool,
    rows.map((row, index) => {
      const input = { request: record(row), entities: {}, candidates: [] };
      const { tensors } = plan.run(input, null, 0);
      return { model: 'm', features: [], tensors, at: at + index };
    }),
  );
  for (const [index, id] of ids.entries())
    await stores.pool.query(
      `INSERT INTO outcome (id, model, source, kind, prediction_id, value, occurred_at)
       VALUES ($1, 'm', 'sdk', 'label', $2, $3, now())`,
      [`o${index}`, id, JSON.stringify(labelOf(rows[index]!.shop))],
    );
}

describe('a model with several inputs', () => {
  it('is trained from a file, retrained on outcomes, judged, and keeps golden examples of all inputs', async () => {
    await using stores = await openStores();
    await using folder = await mkdtempDisposable(join(tmpdir(), 'several-inputs-'));
    const path = join(folder.path, 'shops.csv');
    const lines = Array.from({ length: 240 }, (_, index) => {
      const { shop, price, member, visits } = requestOf(index);
      return [shop, price, member, visits, shop === 'north' ? 1 : 0].join();
    });
    await writeFile(path, `shop,price,member,visits,bought\n${lines.join('\n')}\n`);
    const dependencies = { ...stores, trainer, clock: systemClock };
    const columns = { label: 'bought', at: null };
    const first = await trainFirstVersion(path, YAML, columns, 'test', dependencies, { timeoutMs: 60_000 });
    expect(first).toMatchObject({ version: 1, refused: 0, metrics: { auc: expect.closeTo(1, 1) } });
    await makeLive(stores, 'm', 1);

    await log(stores, YAML, 120, (shop) => (shop === 'north' || shop === 'south' ? 1 : 0));
    const runId = randomUUID();
    await createRun(stores.pool, { runId, model: 'm', key: runId, reason: '', hold: true });
    const never = new AbortController().signal;
    await workOnRun(runId, dependenciesOf(stores, trainer), workerOptions(stores), never);
    const run = await findRun(stores.pool, runId);
    expect(run).toMatchObject({ state: 'succeeded', version: 2, gate: { passed: true } });
    expect(run?.gate?.checks.map(({ name }) => name)).toContain('slice shop = 2');
    await stores.registry.refresh();
    const { bundleSha256 } = stores.registry.current().models.get('m')!.versions.get(2)!;
    const { golden } = parseManifest((await stores.bundles.get(bundleSha256)).manifestYaml);
    const { inputs } = golden!.examples[0]!;
    expect(Object.keys(inputs).sort()).toEqual(['member', 'shop_id', 'wide']);
    expect((inputs.member as boolean[][])[0]![0]).toBeTypeOf('boolean');
  });

  it('with text inputs has the texts in its dataset, for an external trainer', async () => {
    await using stores = await openStores();
    const yaml = YAML.replace(
      'transform: [{id: {values: [north,south,east,west]}}], input: shop_id',
      'type: text, input: shop',
    );
    const manifest = parseManifest(yaml);
    await stores.pool.query(`INSERT INTO model (name) VALUES ('m')`);
    await stores.pool.query(
      `INSERT INTO model_version (model, version, bundle_sha256, onnx_sha256, manifest) VALUES ('m', 1, '', '', $1)`,
      [JSON.stringify(manifest)],
    );
    await log(stores, yaml, 12, () => 1);
    const collector = datasetCollector({ pool: stores.pool, objects: stores.objects, waitMs: 0 });
    const limits = { timeoutMs: 60_000 };
    const dataset = await collector.collect(manifest, 1, Date.now(), COLLECT_DEFAULTS, limits);
    expect(dataset.training.texts?.toSorted()).toEqual(SHOPS.toSorted());
    await using folder = await mkdtempDisposable(join(tmpdir(), 'several-inputs-'));
    const path = join(folder.path, 'dataset.parquet');
    await stores.objects.getFile(datasetKey(dataset.sha256), path);
    await using reader = await ParquetReader.open(path);
    const names = reader.columns.map(({ name }) => name);
    expect(names.slice(-4)).toEqual(['shop', 'price', 'visits', 'member']);
    const shops = await reader.read(0, names.indexOf('shop'));
    expect(shops).toEqual(Array.from({ length: 12 }, (_, index) => requestOf(index).shop));
  });
});
