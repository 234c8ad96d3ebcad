import { systemClock } from '@hotloop/platform/clock.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { describe, expect, it } from 'vitest';
import { verifyLedger } from '../ledger/ledger.ts';
import {
  eventually,
  linearModel,
  makeLive,
  manifestText,
  nodeSays,
  obedientNode,
  openStores,
  push,
  type Stores,
} from '../testing/fixture.ts';
import { type PromoteInput, type PromotionProgress, promote, rollback } from './promote.ts';
import { flip, readModelState, setTarget } from './promotion-store.ts';
import { startReconciler } from './reconciler.ts';

const OPTIONS = { timeoutMs: 10_000, pollMs: 10, oldFailureMs: 200 };

async function withVersions(stores: Stores, count: number): Promise<void> {
  for (let seed = 1; seed <= count; seed++) await push(stores, manifestText('m'), linearModel(seed));
}

function begin(stores: Stores, change: Partial<PromoteInput> = {}, options = OPTIONS, signal?: AbortSignal) {
  const progress: PromotionProgress[] = [];
  const input = { model: 'm', version: 2, expectedGeneration: 0, actor: 'ada', ...change };
  const done = promote(
    input,
    { pool: stores.pool, clock: systemClock },
    options,
    (one) => progress.push(one),
    signal ?? new AbortController().signal,
  );
  done.catch(() => undefined);
  return { done, progress, states: () => progress.map((one) => one.state) };
}

const targetIs = (stores: Stores, version: number | null) =>
  eventually(async () => (await readModelState(stores.pool, 'm')).targetVersion === version);

describe('promoting', () => {
  it('waits for every live node, then switches once', async () => {
    await using stores = await openStores();
    await withVersions(stores, 2);
    await makeLive(stores, 'm', 1);
    for (const node of ['a', 'b']) await nodeSays(stores.pool, node, 'm', 1, 'ready');
    await nodeSays(stores.pool, 'dead', 'm', 1, 'ready');
    await stores.pool.query("UPDATE node SET seen_at = now() - interval '11 seconds' WHERE node = 'dead'");
    const { done, progress, states } = begin(stores);
    await targetIs(stores, 2);
    await nodeSays(stores.pool, 'a', 'm', 2, 'ready');
    await nodeSays(stores.pool, 'b', 'm', 2, 'loading');
    await eventually(async () => progress.some((one) => one.message === '1 of 2 nodes ready'));
    await nodeSays(stores.pool, 'b', 'm', 2, 'warming');
    await eventually(async () => states().includes('warming'));
    expect(await readModelState(stores.pool, 'm')).toMatchObject({ liveVersion: 1, generation: 1 });
    await nodeSays(stores.pool, 'b', 'm', 2, 'ready');
    expect(await done).toBe(2);
    expect(states().slice(-4)).toEqual(['warming', 'ready', 'flipping', 'live']);
    expect(await readModelState(stores.pool, 'm')).toEqual({
      liveVersion: 2,
      previousVersion: 1,
      targetVersion: null,
      generation: 2,
    });
    await eventually(async () => stores.registry.current().models.get('m')?.liveVersion === 2);
  });

  it("keeps the old version live when a node cannot load the new one, and gives the node's reason", async () => {
    await using stores = await openStores();
    await withVersions(stores, 2);
    await makeLive(stores, 'm', 1);
    await nodeSays(stores.pool, 'a', 'm', 1, 'ready');
    const { done, states } = begin(stores);
    await targetIs(stores, 2);
    await nodeSays(stores.pool, 'a', 'm', 2, 'failed', 'output is not finite while warming');
    await expect(done).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'load_failed',
      message: expect.stringContaining('node a: output is not finite while warming'),
    });
    expect(states().at(-1)).toBe('failed');
    expect(await readModelState(stores.pool, 'm')).toMatchObject({
      liveVersion: 1,
      targetVersion: null,
      generation: 1,
    });
  });

  it("reports the failure's reason that the node gives", async () => {
    await using stores = await openStores();
    await withVersions(stores, 2);
    await makeLive(stores, 'm', 1);
    await nodeSays(stores.pool, 'a', 'm', 1, 'ready');
    const { done } = begin(stores);
    await targetIs(stores, 2);
    const detail = "golden.examples.0: output 'score' gave 0.25 in row 0, expected 0.5";
    await nodeSays(stores.pool, 'a', 'm', 2, 'failed', detail, 'golden_mismatch');
    await expect(done).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'golden_mismatch',
      message: expect.stringContaining(detail),
    });
    expect(await readModelState(stores.pool, 'm')).toMatchObject({ liveVersion: 1, targetVersion: null });
  });

  it('ignores an old failure until the node had time to retry', async () => {
    await using stores = await openStores();
    await withVersions(stores, 2);
    await nodeSays(stores.pool, 'a', 'm', 2, 'failed', 'the disk was full');
    const patient = begin(stores, {}, { ...OPTIONS, oldFailureMs: 10_000 });
    await targetIs(stores, 2);
    await nodeSays(stores.pool, 'a', 'm', 2, 'loading');
    await nodeSays(stores.pool, 'a', 'm', 2, 'ready');
    await patient.done;
    await withVersions(stores, 3);
    await nodeSays(stores.pool, 'a', 'm', 3, 'failed', 'the disk is full');
    await expect(begin(stores, { version: 3 }).done).rejects.toThrow('the disk is full');
  });

  it('fails at its deadline, and says which nodes were not ready', async () => {
    await using stores = await openStores();
    await withVersions(stores, 2);
    const nobody = begin(stores, {}, { ...OPTIONS, timeoutMs: 50 });
    await expect(nobody.done).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringContaining('no compute node has been seen'),
    });
    await nodeSays(stores.pool, 'a', 'm', 2, 'loading');
    const slow = begin(stores, {}, { ...OPTIONS, timeoutMs: 50 });
    await expect(slow.done).rejects.toThrow('0 of 1 nodes ready');
    expect((await readModelState(stores.pool, 'm')).targetVersion).toBeNull();
  });

  it('lets one of many promoters win', async () => {
    await using stores = await openStores();
    await withVersions(stores, 5);
    await using _node = obedientNode(stores.pool);
    const attempts = [2, 3, 4, 5, 2, 3].map((version) => begin(stores, { version }).done);
    const settled = await Promise.allSettled(attempts);
    const won = settled.filter((one) => one.status === 'fulfilled');
    const lost = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
    expect(won.length).toBeGreaterThanOrEqual(1);
    for (const reason of lost) expect(reason).toMatchObject({ code: 'ABORTED' });
    // Each flip is one generation and one row of the ledger, whatever the number of promotions.
    const state = await readModelState(stores.pool, 'm');
    const { rows } = await stores.pool.query(
      "SELECT version FROM ledger WHERE action = 'promote' ORDER BY sequence",
    );
    expect(rows).toHaveLength(state.generation);
    expect(rows.at(-1)).toEqual({ version: state.liveVersion });
    expect(await verifyLedger(stores.pool)).toMatchObject({ broken: null });
  });

  it('switches once when two promote the same version from the same generation', async () => {
    await using stores = await openStores();
    await withVersions(stores, 2);
    await makeLive(stores, 'm', 1);
    await nodeSays(stores.pool, 'a', 'm', 1, 'ready');
    const pair = [begin(stores, { expectedGeneration: 1 }), begin(stores, { expectedGeneration: 1 })];
    await eventually(async () => pair.every((one) => one.states().includes('loading')));
    await nodeSays(stores.pool, 'a', 'm', 2, 'ready');
    const settled = await Promise.allSettled(pair.map((one) => one.done));
    expect(settled.map((one) => one.status).sort()).toEqual(['fulfilled', 'rejected']);
    expect((await readModelState(stores.pool, 'm')).generation).toBe(2);
  });

  it('is superseded by a later promotion of another version, and does not disturb it', async () => {
    await using stores = await openStores();
    await withVersions(stores, 3);
    const first = begin(stores, { version: 2 });
    await targetIs(stores, 2);
    const second = begin(stores, { version: 3 });
    await expect(first.done).rejects.toMatchObject({ code: 'ABORTED', reason: 'overtaken' });
    await nodeSays(stores.pool, 'a', 'm', 3, 'ready');
    await second.done;
    expect(await readModelState(stores.pool, 'm')).toMatchObject({ liveVersion: 3, targetVersion: null });
  });

  it('continues after a promoter was lost half way', async () => {
    await using stores = await openStores();
    await withVersions(stores, 2);
    await makeLive(stores, 'm', 1);
    await nodeSays(stores.pool, 'a', 'm', 2, 'ready');
    await setTarget(stores.pool, 'm', 2, 1);
    expect((await readModelState(stores.pool, 'm')).liveVersion).toBe(1);
    expect(await begin(stores).done).toBe(2);
    // A repetition after its end changes nothing.
    const again = begin(stores);
    expect(await again.done).toBe(2);
    expect(again.states()).toEqual(['live']);
  });

  it('continues when its caller disconnects', async () => {
    await using stores = await openStores();
    await withVersions(stores, 2);
    const leaving = new AbortController();
    const { done } = begin(stores, {}, OPTIONS, leaving.signal);
    await targetIs(stores, 2);
    leaving.abort();
    await expect(done).rejects.toThrow();
    await using _reconciler = startReconciler({ pool: stores.pool, clock: systemClock }, silentLog());
    await nodeSays(stores.pool, 'a', 'm', 2, 'ready');
    await eventually(async () => (await readModelState(stores.pool, 'm')).liveVersion === 2);
  });

  it.each([
    ['an unknown model', { model: 'nope' }, 'NOT_FOUND'],
    ['an unknown version', { version: 9 }, 'NOT_FOUND'],
    ['another generation than the caller saw', { expectedGeneration: 7 }, 'ABORTED'],
  ])('refuses %s', async (_title, change, code) => {
    await using stores = await openStores();
    await withVersions(stores, 2);
    const error: unknown = await begin(stores, change).done.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(HotloopError);
    expect(error).toMatchObject({ code });
    expect((await readModelState(stores.pool, 'm')).targetVersion).toBeNull();
  });
});

describe('the compare-and-swap', () => {
  it('changes nothing for another generation, another target, or another previous version', async () => {
    await using stores = await openStores();
    await withVersions(stores, 3);
    await makeLive(stores, 'm', 1);
    await setTarget(stores.pool, 'm', 2, 1);
    const swap = (change: object) =>
      flip(stores.pool, {
        model: 'm',
        version: 2,
        generation: 1,
        action: 'promote',
        actor: 'ada',
        at: 0,
        ...change,
      });
    const before = await readModelState(stores.pool, 'm');
    expect(await swap({ generation: 0 })).toBeNull();
    expect(await swap({ generation: 2 })).toBeNull();
    expect(await swap({ version: 3 })).toBeNull();
    expect(await swap({ action: 'rollback' })).toBeNull();
    expect(await readModelState(stores.pool, 'm')).toEqual(before);
    expect(await swap({})).toBe(2);
    expect(await swap({})).toBeNull();
    expect((await verifyLedger(stores.pool)).rows).toBe(4);
  });
});

describe('concurrent changes', () => {
  it('push, promote and roll back one model without a deadlock', async () => {
    await using stores = await openStores();
    await withVersions(stores, 3);
    await using _node = obedientNode(stores.pool);
    await begin(stores, { version: 1 }).done;
    await begin(stores, { version: 2 }).done;
    const lives = new AbortController().signal;
    const work = Array.from({ length: 30 }, (_, index) => {
      if (index % 3 === 0) return push(stores, manifestText('m'), linearModel(100 + index));
      if (index % 3 === 1) return begin(stores, { version: 1 + (index % 2) * 2 }).done;
      return rollback('m', 'ada', { pool: stores.pool, clock: systemClock }, OPTIONS, () => undefined, lives);
    });
    const settled = await Promise.allSettled(work);
    const failures = settled.flatMap((one) =>
      one.status === 'rejected' ? [one.reason as HotloopError] : [],
    );
    expect(new Set(failures.map(({ code }) => code))).toEqual(
      new Set(failures.length > 0 ? ['ABORTED'] : []),
    );
    const { rows } = await stores.pool.query('SELECT count(*)::int AS n FROM model_version');
    expect(rows).toEqual([{ n: 13 }]);
    expect(await verifyLedger(stores.pool)).toMatchObject({ broken: null });
  });

  it('let a push wait for a promotion without holding a lock that the promotion needs next', async () => {
    await using stores = await openStores();
    await withVersions(stores, 1);
    const promoter = await stores.pool.connect();
    try {
      await promoter.query('BEGIN');
      await promoter.query("SELECT 1 FROM model WHERE name = 'm' FOR NO KEY UPDATE");
      const pushing = push(stores, manifestText('m'), linearModel(2));
      const isWaiting = async () =>
        (
          await stores.pool.query(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
          )
        ).rowCount === 1;
      await eventually(isWaiting);
      await promoter.query("SET LOCAL lock_timeout = '2s'");
      await promoter.query("UPDATE model SET target_version = 1 WHERE name = 'm'");
      await promoter.query('COMMIT');
      expect(await pushing).toBe(2);
    } finally {
      promoter.release();
    }
  });
});

describe('rolling back', () => {
  const back = (stores: Stores) =>
    rollback(
      'm',
      'ada',
      { pool: stores.pool, clock: systemClock },
      OPTIONS,
      () => undefined,
      new AbortController().signal,
    );

  it('switches to the previous version at once, because it is still loaded', async () => {
    await using stores = await openStores();
    await withVersions(stores, 2);
    await makeLive(stores, 'm', 1);
    await makeLive(stores, 'm', 2);
    await nodeSays(stores.pool, 'a', 'm', 1, 'ready');
    const begun = performance.now();
    expect(await back(stores)).toBe(3);
    expect(performance.now() - begun).toBeLessThan(OPTIONS.timeoutMs / 2);
    expect(await readModelState(stores.pool, 'm')).toMatchObject({ liveVersion: 1, previousVersion: 2 });
  });

  it('supersedes a promotion in progress', async () => {
    await using stores = await openStores();
    await withVersions(stores, 3);
    await makeLive(stores, 'm', 1);
    await makeLive(stores, 'm', 2);
    await nodeSays(stores.pool, 'a', 'm', 1, 'ready');
    const underWay = begin(stores, { version: 3 });
    await targetIs(stores, 3);
    await back(stores);
    await expect(underWay.done).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await readModelState(stores.pool, 'm')).toMatchObject({ liveVersion: 1, targetVersion: null });
  });

  it('refuses when there is nothing to go back to', async () => {
    await using stores = await openStores();
    await withVersions(stores, 1);
    await expect(back(stores)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'no_previous_version',
    });
  });
});
