import { randomUUID } from 'node:crypto';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { describe, expect, it } from 'vitest';
import { createRun, findRun } from '../runs/run-store.ts';
import { workOnRun } from '../runs/run-worker.ts';
import { manifestText, openStores, type Stores } from '../testing/fixture.ts';
import {
  dependenciesOf,
  LABELLED_MANIFEST,
  playedTrainer,
  withLabels,
  workerOptions,
} from '../testing/labelled-model.ts';

/** One run that does not promote, to its end. */
async function heldRun(stores: Stores, trainer = playedTrainer()) {
  const runId = randomUUID();
  await createRun(stores.pool, { runId, model: 'm', key: runId, reason: '', hold: true });
  const never = new AbortController().signal;
  await workOnRun(runId, dependenciesOf(stores, trainer), workerOptions(stores), never);
  await stores.registry.refresh();
  return findRun(stores.pool, runId);
}

describe('a retrained version', () => {
  it.each([
    ['beside a model.yaml without any', LABELLED_MANIFEST, undefined],
    [
      'in place of those of the version that it began from, within the tolerance declared there',
      `${LABELLED_MANIFEST}golden: {relative: 0.5, examples: [{inputs: {input: [[9, 9]]}, outputs: {score: [[0.9]]}}]}\n`,
      0.5,
    ],
  ])('has golden examples of its own: %s', async (_, manifestYaml, relative) => {
    await using stores = await openStores();
    await withLabels(stores, 60, manifestYaml);
    expect(await heldRun(stores)).toMatchObject({ state: 'succeeded', version: 2 });
    const record = stores.registry.current().models.get('m')?.versions.get(2);
    const bundle = await stores.bundles.get(record!.bundleSha256);
    const { golden, ...rest } = parseManifest(bundle.manifestYaml);
    expect(rest).toEqual(parseManifest(LABELLED_MANIFEST));
    expect(golden?.relative).toBe(relative);
    expect(golden?.examples).toHaveLength(1);
    const { inputs, outputs } = golden!.examples[0]!;
    const rows = inputs.input as [number, number][];
    expect(rows).toHaveLength(8);
    // What the trainer scores them with.
    expect(outputs.score).toEqual(rows.map(([x]) => [(x + 1) / 2]));
  });

  it('is judged by cross-validation if few rows would be held out, and on the frozen ones', async () => {
    await using stores = await openStores();
    const spec = 'training: {epochs: 1, data: {folds: 3, frozen: 0.3}, gate: {min_examples: 30}}';
    await withLabels(stores, 60, manifestText('m', `${spec}\n`));
    const trained: number[] = [];
    const played = playedTrainer();
    const run = await heldRun(stores, {
      ...played,
      train: (job, options) => {
        trained.push(job.dataset.rows);
        return played.train(job, options);
      },
    });
    const [whole = 0, ...folds] = trained;
    expect(folds).toHaveLength(3);
    // Each row is left out once.
    expect(folds.reduce((sum, rows) => sum + rows)).toBe(2 * whole);
    const checks = run?.gate?.checks ?? [];
    expect(checks.find(({ name }) => name === 'folds')).toMatchObject({
      ...{ outcome: 'reported', candidate: 1, against: 0.5, examples: whole },
      message: expect.stringContaining('auc of each of 3 folds: 1.0000, 1.0000, 1.0000'),
    });
    expect(checks.find(({ name }) => name === 'frozen holdout')).toMatchObject({ examples: 60 - whole });
    expect(run).toMatchObject({ state: 'succeeded', metrics: { held_out: whole, trained_on: whole } });
  });

  it('is not registered when the weights equal those of the live version, also with other examples', async () => {
    await using stores = await openStores();
    await withLabels(stores);
    expect(await heldRun(stores, playedTrainer({}, 1))).toMatchObject({
      state: 'failed',
      message: expect.stringContaining('training changed nothing'),
    });
    expect(stores.registry.current().models.get('m')?.versions.size).toBe(1);
  });
});
