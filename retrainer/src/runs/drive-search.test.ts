import { describe, expect, it } from 'vitest';
import { manifestText, openStores } from '../testing/fixture.ts';
import { dependenciesOf, playedTrainer, withLabels, workerOptions } from '../testing/labelled-model.ts';
import { experimentOf, requestSearch, stepSearch } from './drive-search.ts';
import { listRuns } from './run-store.ts';
import { workOnRun } from './run-worker.ts';
import { findSearch } from './search-store.ts';

const MANIFEST = manifestText(
  'm',
  `training:
  epochs: 6
  gate: {min_examples: 5}
  search:
    trials: 4
    rounds: 2
    halving: 2
    ranges: {learning_rate: {from: 0.0001, to: 0.1, scale: log}, hidden: {values: [[], [4]]}}
`,
);

describe('a search', () => {
  it('runs its trials as runs of one experiment, and judges the winner on rows that no trial saw', async () => {
    await using stores = await openStores();
    await withLabels(stores, 60, MANIFEST);
    const begun = await requestSearch('m', { parallel: 4 }, stores);
    const experiment = experimentOf(begun.searchId);
    const judged: number[] = [];
    const trainer = playedTrainer();
    const watched = {
      ...trainer,
      score: (job: Parameters<typeof trainer.score>[0], limits: Parameters<typeof trainer.score>[1]) => {
        judged.push(job.dataset.rows);
        return trainer.score(job, limits);
      },
    };
    const never = new AbortController().signal;
    for (let turn = 0; turn < 12; turn++) {
      // Two retrainers drive the same search.
      const search = await findSearch(stores.pool, begun.searchId);
      if (search.state === 'ended') break;
      await Promise.all([stepSearch(search, stores), stepSearch(search, stores)]);
      const open = (await listRuns(stores.pool, 'm', 100, experiment)).filter(
        ({ endedAt }) => endedAt === null,
      );
      for (const { runId } of open)
        await workOnRun(runId, dependenciesOf(stores, watched), workerOptions(stores), never);
    }
    expect(await findSearch(stores.pool, begun.searchId)).toMatchObject({
      state: 'ended',
      message: expect.stringContaining('version 2 is registered'),
    });
    const runs = await listRuns(stores.pool, 'm', 100, experiment);
    const trials = runs.filter(({ kind }) => kind === 'trial');
    // Four trials with few epochs, then the better two with all epochs.
    expect(trials.map(({ parameters }) => parameters.epochs).sort()).toEqual([3, 3, 3, 3, 6, 6]);
    expect(trials.every(({ state, version }) => state === 'succeeded' && version === null)).toBe(true);
    expect(trials.every(({ metrics }) => metrics.trial_loss === -1)).toBe(true);
    // Trials are measured on a fifth of the 48 training rows, the winner on the 12 held-out rows.
    expect(judged.slice(0, 6)).toEqual([10, 10, 10, 10, 10, 10]);
    expect(judged[6]).toBe(12);
  });

  it('is refused for a model without a live version', async () => {
    await using stores = await openStores();
    await expect(requestSearch('m', {}, stores)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
