import { systemClock } from '@hotloop/platform/clock.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { shadowIdOf } from '@hotloop/proto/shadow-id.ts';
import { describe, expect, it } from 'vitest';
import { verifyLedger } from '../ledger/ledger.ts';
import {
  linearModel,
  logPredictions,
  makeLive,
  manifestText,
  nodeSays,
  openStores,
  push,
  type Stores,
} from '../testing/fixture.ts';
import { actOnRollout, type RolloutAction } from './act-on-rollout.ts';
import { DRIVE_DEFAULTS, driveRollout } from './drive-rollout.ts';
import { readModelState } from './promotion-store.ts';
import { type PromoteInput, requestPromotion, requestRollback } from './request-rollout.ts';
import type { Rollout } from './rollout.ts';
import { changesAfter, findRollout } from './rollout-rows.ts';

const OPTIONS = { timeoutMs: 10_000, pollMs: 10, oldFailureMs: 200 };
const HOUR = 3_600_000;

/** Versions 1 (live) and 2 of a model with the rollout section given, both ready on node a. */
async function opened(rollout: string): Promise<Stores> {
  const stores = await openStores();
  const text = manifestText('m', `outcome: {from: sdk, window: 1h}\nrollout: ${rollout}\n`);
  for (const seed of [1, 2, 3]) await push(stores, text, linearModel(seed));
  await makeLive(stores, 'm', 1);
  for (const version of [1, 2, 3]) await nodeSays(stores.pool, 'a', 'm', version, 'ready');
  return stores;
}

const using = (stores: Stores) => ({ pool: stores.pool, clock: systemClock });

async function started(stores: Stores, change: Partial<PromoteInput> = {}): Promise<Rollout> {
  const input = { model: 'm', version: 2, expectedGeneration: 0, actor: 'ada', ...change };
  const requested = await requestPromotion(input, using(stores), OPTIONS);
  if (requested.kind !== 'rollout') throw new Error('it is live already');
  return requested.rollout;
}

async function driven(stores: Stores, rollout: Rollout): Promise<Rollout> {
  await driveRollout(rollout.rolloutId, using(stores), DRIVE_DEFAULTS);
  return findRollout(stores.pool, rollout.rolloutId);
}

const act = (stores: Stores, rollout: Rollout, action: RolloutAction, actor = 'ada') =>
  actOnRollout(rollout.rolloutId, { action, actor, reason: 'because' }, using(stores));

/** Moves the start of the step into the past, so that its evidence is older. */
async function aged(pool: Pool, { rolloutId }: Rollout, ms: number): Promise<void> {
  await pool.query(
    `UPDATE rollout SET step_at = step_at - make_interval(secs => $2 / 1000.0),
       flipped_at = flipped_at - make_interval(secs => $2 / 1000.0) WHERE rollout_id = $1`,
    [rolloutId, ms],
  );
  await pool.query(
    'UPDATE rollout_event SET at = at - make_interval(secs => $2 / 1000.0) WHERE rollout_id = $1',
    [rolloutId, ms],
  );
}

interface Answers {
  readonly version: number;
  readonly variant: string;
  /** Default: half, as in a split of two. */
  readonly propensity?: number;
  readonly count: number;
  /** Share of the answers that were right. */
  readonly right: number;
}

/** Answers of a minute ago, a score of 0.9 or 0.1 each, with the label that makes so many of them right. */
async function answered(
  stores: Stores,
  { version, variant, propensity = 0.5, count, right }: Answers,
): Promise<string[]> {
  const at = Date.now() - 60_000;
  const rows = Array.from({ length: count }, () => ({ model: 'm', at, version, variant, features: [1, 2] }));
  const ids = await logPredictions(stores.pool, rows);
  await stores.pool.query(
    `UPDATE prediction SET propensity = $3, outputs = $2, output_spec = '[{"name":"score","datatype":"FP32","shape":[1,1]}]'
     WHERE prediction_id = ANY($1::uuid[])`,
    [ids, Buffer.from(new Float32Array([0.9]).buffer), propensity],
  );
  const labels = ids.map((_, index) => (index % 100 < right * 100 ? 1 : 0));
  await stores.pool.query(
    `INSERT INTO outcome (id, model, source, kind, prediction_id, value, occurred_at)
     SELECT id::text, 'm', 'sdk', 'label', id, to_jsonb(label), now() FROM unnest($1::uuid[], $2::integer[]) AS l(id, label)`,
    [ids, labels],
  );
  return ids;
}

describe('a canary', () => {
  it('goes through its steps and becomes live, each step with its share and a row of the ledger', async () => {
    await using stores = await opened('{mode: canary, steps: [0, 10, 50], advance: manual}');
    let rollout = await driven(stores, await started(stores));
    expect(rollout).toMatchObject({ state: 'shadow', traffic: { kind: 'shadow' } });
    await stores.registry.refresh();
    expect(stores.registry.current().models.get('m')?.rollouts?.[0]?.kind).toBe('shadow');
    rollout = await act(stores, rollout, 'advance');
    expect(rollout.traffic).toMatchObject({ kind: 'split', arms: [{ version: 2, share: 0.1 }] });
    rollout = await act(stores, rollout, 'advance');
    expect(rollout.traffic).toMatchObject({ arms: [{ version: 2, share: 0.5 }] });
    rollout = await act(stores, rollout, 'advance');
    expect(rollout.state).toBe('live');
    expect(await readModelState(stores.pool, 'm')).toMatchObject({ liveVersion: 2, previousVersion: 1 });
    await stores.registry.refresh();
    expect(stores.registry.current().models.get('m')?.rollouts).toBeUndefined();
    const { rows } = await stores.pool.query(
      "SELECT detail ->> 'event' AS event FROM ledger WHERE action = 'rollout' ORDER BY sequence",
    );
    expect(rows.map((row) => row.event)).toEqual([
      'requested',
      'shadow_begun',
      'step_advanced',
      'step_advanced',
    ]);
    expect(await verifyLedger(stores.pool)).toMatchObject({ broken: null });
  });

  it('advances on enough evidence, and says how many outcomes are missing until then', async () => {
    await using stores = await opened('{mode: canary, steps: [50], rollback: {metric_drop: 0.05}}');
    let rollout = await driven(stores, await started(stores));
    expect(rollout.state).toBe('canary');
    await aged(stores.pool, rollout, HOUR);
    await answered(stores, { version: 1, variant: 'live', count: 120, right: 0.9 });
    await answered(stores, { version: 2, variant: 'canary', count: 120, right: 0.9 });
    rollout = await driven(stores, rollout);
    expect(rollout.state).toBe('canary');
    expect(rollout.message).toMatch(/waits for about \d+ more outcomes \(.* at the present rate\)/);
    await answered(stores, { version: 1, variant: 'live', count: 2_000, right: 0.9 });
    await answered(stores, { version: 2, variant: 'canary', count: 2_000, right: 0.9 });
    rollout = await driven(stores, rollout);
    expect(rollout.state).toBe('live');
  });

  it('is rolled back by worse outcomes, with the evidence in the ledger', async () => {
    await using stores = await opened('{mode: canary, steps: [50]}');
    let rollout = await driven(stores, await started(stores));
    await aged(stores.pool, rollout, HOUR);
    await answered(stores, { version: 1, variant: 'live', count: 400, right: 0.9 });
    await answered(stores, { version: 2, variant: 'canary', count: 400, right: 0.2 });
    rollout = await driven(stores, rollout);
    expect(rollout).toMatchObject({ state: 'rolled_back', traffic: null });
    expect(await readModelState(stores.pool, 'm')).toMatchObject({ liveVersion: 1, targetVersion: null });
    const { rows } = await stores.pool.query('SELECT detail FROM ledger ORDER BY sequence DESC LIMIT 1');
    expect(rows[0].detail).toMatchObject({ event: 'breached', evidence: { quality: { kind: 'roll_back' } } });
  });

  it('is rolled back if one slice is worse, even if the total is better', async () => {
    await using stores = await opened(
      '{mode: canary, steps: [50], rollback: {slices: [x], min_outcomes: 50}}',
    );
    let rollout = await driven(stores, await started(stores));
    await aged(stores.pool, rollout, HOUR);
    await answered(stores, { version: 1, variant: 'live', count: 1_500, right: 0.7 });
    await answered(stores, { version: 2, variant: 'canary', count: 1_500, right: 0.9 });
    // 81 % against 72 % on the whole, so that only the slice can be breached.
    const few = await answered(stores, { version: 1, variant: 'live', count: 200, right: 0.9 });
    few.push(...(await answered(stores, { version: 2, variant: 'canary', count: 200, right: 0.1 })));
    await stores.pool.query('UPDATE prediction SET features = $2 WHERE prediction_id = ANY($1::uuid[])', [
      few,
      Buffer.from(new Float32Array([7, 2]).buffer),
    ]);
    rollout = await driven(stores, rollout);
    expect(rollout.state).toBe('rolled_back');
    expect(rollout.message).toMatch(/worse by more than 0\.02 where x = 7/);
    expect(rollout.evidence.slices?.find(({ slice }) => slice === 'x = 1')?.isBreach).toBe(false);
  });

  /** Drives a canary whose 200 answers are like the live ones, then changes them in the log, and drives it again. */
  async function breached(guard: string, change: string): Promise<Rollout> {
    await using stores = await opened(`{mode: canary, steps: [50], rollback: ${guard}}`);
    const rollout = await driven(stores, await started(stores));
    await aged(stores.pool, rollout, HOUR);
    await answered(stores, { version: 1, variant: 'live', count: 200, right: 0.5 });
    const ids = await answered(stores, { version: 2, variant: 'canary', count: 200, right: 0.5 });
    expect((await driven(stores, rollout)).state).toBe('canary');
    await stores.pool.query(`UPDATE prediction SET ${change} WHERE prediction_id = ANY($1::uuid[])`, [ids]);
    return await driven(stores, rollout);
  }

  it('is rolled back by failed answers', async () => {
    expect(await breached('{error_rate: 0.1}', "error_code = 'INTERNAL'")).toMatchObject({
      state: 'rolled_back',
      message: 'rolled back: 200 of 200 answers failed; 10 % are allowed',
    });
  });

  it.each([
    [
      'slow answers',
      '{p99_ms: 50}',
      'run_us = 60000, queue_us = 1000',
      /^rolled back: p99 is 61\.0 ms over 200 answers; 50 ms are allowed$/,
    ],
    [
      'answers that are no numbers',
      '{error_rate: 1}',
      "error_code = 'INTERNAL', error_message = 'score is not a finite number'",
      /^rolled back: 200 of 200 answers were not finite numbers; 0 % are allowed$/,
    ],
    [
      'scores that moved',
      '{drift: 0.25}',
      `outputs = '\\x${Buffer.from(new Float32Array([0.1]).buffer).toString('hex')}'`,
      /^rolled back: the scores moved by a stability index of \d+\.\d+; 0\.25 is allowed$/,
    ],
  ])('is rolled back by %s', async (_what, guard, change, message) => {
    const ended = await breached(guard, change);
    expect([ended.state, ended.message]).toEqual(['rolled_back', expect.stringMatching(message)]);
  });

  it('is held, resumed and aborted by a person; a second promotion reports it', async () => {
    await using stores = await opened('{mode: canary, steps: [50], advance: manual}');
    const rollout = await driven(stores, await started(stores));
    expect((await act(stores, rollout, 'hold')).state).toBe('held');
    await expect(act(stores, rollout, 'advance')).rejects.toMatchObject({ reason: 'wrong_state' });
    expect((await act(stores, rollout, 'resume')).state).toBe('canary');
    await expect(started(stores, { version: 3 })).rejects.toMatchObject({ reason: 'rollout_in_progress' });
    expect((await started(stores)).rolloutId).toBe(rollout.rolloutId);
    expect((await act(stores, rollout, 'abort')).state).toBe('aborted');
    await expect(act(stores, rollout, 'hold')).rejects.toMatchObject({ reason: 'wrong_state' });
    expect((await readModelState(stores.pool, 'm')).targetVersion).toBeNull();
    expect((await started(stores, { version: 3 })).state).toBe('loading');
  });

  it('is ended by a rollback of the model; the live version stays', async () => {
    await using stores = await opened('{mode: canary, steps: [50], advance: manual}');
    await driven(stores, await started(stores));
    const back = await requestRollback('m', 'ada', 'it looks odd', using(stores), OPTIONS);
    expect(back.state).toBe('rolled_back');
    expect((await readModelState(stores.pool, 'm')).liveVersion).toBe(1);
  });
});

describe('a shadow', () => {
  it('runs next to others, is compared on the same requests, and is promoted on request', async () => {
    await using stores = await opened('{mode: shadow}');
    let two = await driven(stores, await started(stores));
    const three = await driven(stores, await started(stores, { version: 3 }));
    expect([two.state, three.state]).toEqual(['shadow', 'shadow']);
    await aged(stores.pool, two, HOUR);
    const ids = await answered(stores, { version: 1, variant: 'live', count: 150, right: 0.9 });
    const shadows = ids.map((id) => shadowIdOf(id, 2));
    await stores.pool.query(
      `INSERT INTO prediction SELECT p.* FROM unnest($1::uuid[], $2::uuid[]) AS i(id, shadow), LATERAL (
         SELECT (jsonb_populate_record(q, jsonb_build_object('prediction_id', shadow, 'version', 2, 'variant', 'shadow'))).*
         FROM prediction q WHERE q.prediction_id = i.id) p`,
      [ids, shadows],
    );
    two = await driven(stores, two);
    expect(two.evidence.quality?.comparison).toMatchObject({
      design: 'paired',
      candidate: { outcomes: 150 },
      difference: 0,
    });
    expect(two.message).toContain('waits for a person');
    expect((await act(stores, two, 'advance')).state).toBe('live');
    expect((await readModelState(stores.pool, 'm')).liveVersion).toBe(2);
  });
});

describe('an A/B split', () => {
  it('keeps its share however good the outcomes are, and ends when a person decides', async () => {
    await using stores = await opened('{mode: ab, share: 0.3, rollback: {metric_drop: 0.05}}');
    let rollout = await driven(stores, await started(stores));
    await aged(stores.pool, rollout, HOUR);
    await answered(stores, { version: 1, variant: 'live', propensity: 0.7, count: 400, right: 0.5 });
    await answered(stores, { version: 2, variant: 'canary', propensity: 0.3, count: 400, right: 0.95 });
    rollout = await driven(stores, rollout);
    expect(rollout).toMatchObject({ state: 'measuring', traffic: { arms: [{ version: 2, share: 0.3 }] } });
    expect(rollout.message).toContain('waits for a person');
    expect(rollout.evidence.quality?.comparison.lower).toBeGreaterThan(0.05);
    await act(stores, rollout, 'advance');
    rollout = await driven(stores, rollout);
    expect([rollout.state, (await readModelState(stores.pool, 'm')).liveVersion]).toEqual(['live', 2]);
  });
});

describe('a bandit', () => {
  it('moves its share towards the version with the better outcomes', async () => {
    await using stores = await opened('{mode: bandit, share: 0.5, rollback: {metric_drop: 0.001}}');
    let rollout = await driven(stores, await started(stores));
    await aged(stores.pool, rollout, HOUR);
    await answered(stores, { version: 1, variant: 'live', count: 150, right: 0.6 });
    await answered(stores, { version: 2, variant: 'canary', count: 150, right: 0.7 });
    rollout = await driven(stores, rollout);
    expect(rollout.state).toBe('measuring');
    expect(rollout.traffic?.arms[0]?.share).toBeGreaterThan(0.8);
    const changes = await changesAfter(stores.pool, rollout.rolloutId, 0);
    expect(changes.findLast((change) => change.event === 'step_advanced')?.traffic?.arms[0]?.share).toBe(
      rollout.traffic?.arms[0]?.share,
    );
  });
});

describe('a version that became live', () => {
  it('is watched, and rolled back automatically when its outcomes are worse than before', async () => {
    await using stores = await opened('{mode: at_once, rollback: {metric_drop: 0.05}}');
    await answered(stores, { version: 1, variant: 'live', count: 400, right: 0.9 });
    let rollout = await driven(stores, await started(stores));
    expect(rollout.state).toBe('live');
    await stores.pool.query("UPDATE rollout SET flipped_at = now() - interval '30 s'");
    const ids = await answered(stores, { version: 2, variant: 'live', count: 400, right: 0.1 });
    await stores.pool.query('UPDATE prediction SET at = now() WHERE prediction_id = ANY($1::uuid[])', [ids]);
    rollout = await driven(stores, rollout);
    expect(rollout.state).toBe('reverting');
    rollout = await driven(stores, rollout);
    expect(rollout.state).toBe('rolled_back');
    expect(await readModelState(stores.pool, 'm')).toMatchObject({ liveVersion: 1, generation: 3 });
  });
});

describe('approvals', () => {
  it('must come from a person other than the requester', async () => {
    await using stores = await opened('{mode: at_once, approvals: 1}');
    const rollout = await started(stores);
    expect(rollout.state).toBe('approval');
    expect((await driven(stores, rollout)).state).toBe('approval');
    await expect(act(stores, rollout, 'approve', 'ada')).rejects.toMatchObject({ reason: 'same_person' });
    expect((await act(stores, rollout, 'approve', 'grace')).state).toBe('loading');
    expect((await driven(stores, rollout)).state).toBe('settled');
  });
});

describe('a version that its gate refused', () => {
  it('is promoted only with force and a reason, which the ledger stores', async () => {
    await using stores = await opened('{mode: at_once}');
    const check = {
      name: 'auc',
      outcome: 'failed',
      candidate: 0.6,
      against: 0.7,
      interval: null,
      examples: 50,
    };
    const gate = {
      ...{ passed: false, metric: 'auc', candidate: 0.6, live: 0.7, improvement: -0.1, examples: 50 },
      checks: [{ ...check, message: 'worse than the live version' }],
    };
    await stores.pool.query(
      `INSERT INTO training_run (run_id, model, key, state, gate) VALUES ($1, 'm', 'k', 'refused', $2)`,
      ['018bcfe5-6800-7000-8000-000000000001', { ...gate, message: 'refused: the candidate is worse' }],
    );
    await stores.pool.query(
      "UPDATE model_version SET run_id = '018bcfe5-6800-7000-8000-000000000001' WHERE version = 2",
    );
    await expect(started(stores)).rejects.toMatchObject({
      reason: 'gate_failed',
      message: expect.stringMatching(
        /check +candidate[\s\S]*failed +auc +0\.6 +0\.7[\s\S]*worse than the live version/,
      ),
    });
    await expect(started(stores, { force: true })).rejects.toMatchObject({ reason: 'gate_failed' });
    await started(stores, { force: true, reason: 'the labels were wrong' });
    const { rows } = await stores.pool.query('SELECT detail FROM ledger ORDER BY sequence DESC LIMIT 1');
    expect(rows[0].detail).toMatchObject({ forced: true, reason: 'the labels were wrong' });
  });

  it('has its model suggested when the name is misspelled', async () => {
    await using stores = await openStores();
    await push(stores, manifestText('product-ranker'), linearModel(1));
    await expect(started(stores, { model: 'product-rankr' })).rejects.toThrow('did you mean product-ranker?');
  });
});
