import { withDeadline } from '@hotloop/platform/grpc/client.ts';
import type { Run__Output } from '@hotloop/proto/gen/hotloop/v1/Run.ts';
import { describe, expect, it } from 'vitest';
import { verifyLedger } from './ledger/ledger.ts';
import { all, reply, retrainerClients, upload } from './testing/clients.ts';
import {
  linearModel,
  logPredictions,
  manifestText,
  obedientNode,
  openStores,
  startTestRetrainer,
} from './testing/fixture.ts';

const MANIFEST = manifestText(
  'clicks',
  'training: {epochs: 20, batch: 32, optimizer: {adam: {learning_rate: 0.05}}, gate: {min_examples: 20}}\n',
);

describe('the retrainer', () => {
  it('closes the loop: push, promote, outcomes, training, gate, next version live, trace and ledger', async () => {
    await using stores = await openStores();
    await using started = await startTestRetrainer(stores);
    await using _node = obedientNode(stores.pool);
    using client = retrainerClients(started.retrainer.address);
    const { registry, feedback, jobs } = client;

    const pushed = await upload(registry, linearModel(), { manifestYaml: MANIFEST });
    expect(pushed).toMatchObject({
      created: true,
      version: { model: 'clicks', version: 1, state: 'registered' },
    });
    const again = await upload(registry, linearModel(), { manifestYaml: MANIFEST });
    expect(again).toMatchObject({ created: false, version: { version: 1 } });
    const steps = await all(
      registry.Promote({ model: 'clicks', version: 1, actor: 'ada' }, withDeadline(10_000)),
    );
    expect(steps.at(-1)).toMatchObject({ state: 'live', toVersion: 1, generation: 1 });

    // The label depends on x alone; the untrained model does not know that.
    const rows = Array.from({ length: 200 }, (_, index) => [
      Math.sin(index * 7.3) * 2,
      Math.cos(index * 3.1),
    ]);
    const now = Date.now() - 60_000;
    const ids = await logPredictions(
      stores.pool,
      rows.map((features, index) => ({ model: 'clicks', features, at: now + index * 10 })),
    );
    const outcomes = ids.map((predictionId, index) => ({
      id: `o${index}`,
      model: 'clicks',
      predictionId,
      value: { number: rows[index]![0]! > 0 ? 1 : 0 },
    }));
    const recorded = await reply((done) => feedback.RecordOutcomes({ outcomes }, withDeadline(10_000), done));
    expect(recorded).toMatchObject({ accepted: 200, duplicates: 0 });

    const asked = await reply((done) =>
      jobs.Retrain({ model: 'clicks', key: 'k1' }, withDeadline(10_000), done),
    );
    const repeated = await reply((done) =>
      jobs.Retrain({ model: 'clicks', key: 'k1' }, withDeadline(10_000), done),
    );
    expect(asked).toMatchObject({ created: true });
    expect(repeated).toEqual({ ...(asked as object), created: false });
    const { runId } = asked as { runId: string };
    // Training has the lowest priority, so it may take long on a busy machine.
    const seen = (await all(jobs.WatchRun({ runId }, withDeadline(170_000)))) as Run__Output[];
    const ended = seen.at(-1);
    expect(ended).toMatchObject({ state: 'succeeded', parentVersion: 1, version: 2, examples: 200 });
    expect(ended?.metrics.auc).toBeGreaterThan(0.95);

    const loop = await reply((done) => jobs.GetLoop({ model: 'clicks' }, withDeadline(10_000), done));
    expect(loop).toMatchObject({
      liveVersion: 2,
      predictionsLogged: 200,
      outcomes: 200,
      outcomesUnmatched: 0,
    });
    const story = await reply<{ steps: { kind: string }[] }>((done) =>
      jobs.Trace({ predictionId: ids[0]! }, withDeadline(10_000), done as never),
    );
    expect(new Set(story.steps.map((step) => step.kind))).toEqual(
      new Set(['request', 'output', 'outcome', 'dataset', 'run', 'gate', 'promotion']),
    );
    const model = await reply((done) => registry.GetModel({ model: 'clicks' }, withDeadline(10_000), done));
    expect(model).toMatchObject({
      model: { task: 'binary', liveVersion: 2, previousVersion: 1, generation: 2, versions: 2 },
      versions: [
        { version: 2, state: 'live', parentVersion: 1, runId, datasetSha256: ended?.datasetSha256 },
        { version: 1, state: 'previous' },
      ],
    });

    const back = await all(registry.Rollback({ model: 'clicks', actor: 'ada' }, withDeadline(10_000)));
    expect(back.at(-1)).toMatchObject({ state: 'live', fromVersion: 2, toVersion: 1, generation: 3 });
    const { rows: ledger } = await stores.pool.query<{ action: string }>(
      'SELECT action FROM ledger ORDER BY sequence',
    );
    expect(ledger.map(({ action }) => action)).toEqual([
      ...['push', 'rollout', 'promote'],
      ...['push', 'rollout', 'promote', 'run'],
      ...['rollout', 'rollback'],
    ]);
    expect(await verifyLedger(stores.pool)).toMatchObject({ rows: ledger.length, broken: null });
  }, 180_000);
});
