import { describe, expect, it } from 'vitest';
import { systemClock } from '../clock.ts';
import { silentLog } from '../log.ts';
import { createTestRedis } from '../testing/test-services.ts';
import { openRedis } from './redis.ts';
import { type Named, TrackedReads } from './tracked-reads.ts';

const keyOf = ({ entity, entityId }: Named) => `${entity}${entityId}`;
/** Names with these keys: the last letter is the id. */
const named = (keys: readonly string[]): Named[] =>
  keys.map((key) => ({ entity: key.slice(0, -1), entityId: key.slice(-1) }));

async function open(maxBytes = 1_000_000) {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createTestRedis('cache'));
  const connect = async (name: string, hearsChanges = false) =>
    stack.use(
      await openRedis(database.url, {
        ...{ commandTimeoutMs: 10_000, role: 'cache', name, hearsChanges, log: silentLog() },
      }),
    );
  const [reads, changes, others] = [
    await connect('reads'),
    await connect('changes', true),
    await connect('others'),
  ];
  let asked = 0;
  const fetch = reads.mgetBuffer.bind(reads);
  reads.mgetBuffer = ((keys: string[]) => {
    asked++;
    return fetch(keys);
  }) as typeof reads.mgetBuffer;
  const clock = { ...systemClock, aheadMs: 0, monotonic: () => performance.now() + clock.aheadMs };
  const kept = stack.use(
    new TrackedReads(reads, changes, {
      ...{ decode: String, keyOf, maxBytes, heartbeatMs: 20, clock, log: silentLog() },
    }),
  );
  await expect.poll(() => kept.isTracking).toBe(true);
  return {
    ...{ kept, reads, changes, others, clock, asked: () => asked },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('reads that are cached while Redis reports changes', () => {
  it('ask Redis once, and again after another client changed, deleted or flushed keys', async () => {
    await using opened = await open();
    const { kept, others } = opened;
    await others.set('a', '1');
    expect(await kept.get(named(['a', 'none', 'a']))).toEqual(['1', undefined, '1']);
    expect(await kept.get(named(['none', 'a']))).toEqual([undefined, '1']);
    expect(opened.asked()).toBe(2);
    await others.set('none', '2');
    await expect.poll(() => kept.get(named(['a', 'none']))).toEqual(['1', '2']);
    await others.del('a');
    await expect.poll(() => kept.get(named(['a', 'none']))).toEqual([undefined, '2']);
    await others.flushdb();
    await expect.poll(() => kept.get(named(['a', 'none']))).toEqual([undefined, undefined]);
    expect(kept.isTracking).toBe(true);
  });

  it('see writes of this process at once', async () => {
    await using opened = await open();
    for (let turn = 0; turn < 50; turn++) {
      // A read on its way while the value changes is not kept either.
      const reading = opened.kept.get(named(['a']));
      await opened.others.set('a', String(turn));
      opened.kept.drop(['a']);
      expect(await opened.kept.get(named(['a']))).toEqual([String(turn)]);
      await reading;
      expect(await opened.kept.get(named(['a']))).toEqual([String(turn)]);
    }
  });

  it('keep at most the configured bytes', async () => {
    await using opened = await open(10_000);
    const keys = Array.from({ length: 100 }, (_, index) => `k${index}`);
    for (const key of keys) await opened.others.set(key, 'x'.repeat(800));
    await opened.kept.get(named(keys));
    expect(opened.asked()).toBe(2);
    await opened.kept.get(named(keys.slice(-9)));
    expect(opened.asked()).toBe(2);
    await opened.kept.get(named(keys.slice(1, 2)));
    expect(opened.asked()).toBe(3);
  });

  it('ask Redis after a long silence, and cache nothing across a lost connection', async () => {
    await using opened = await open();
    const { kept, changes, others } = opened;
    await others.set('a', '1');
    await kept.get(named(['a']));
    opened.clock.aheadMs += 4000;
    expect(kept.isTracking).toBe(false);
    await kept.get(named(['a']));
    expect(opened.asked()).toBe(2);
    await expect.poll(() => kept.isTracking).toBe(true);
    changes.disconnect(true);
    await others.set('a', '2');
    await expect.poll(() => kept.get(named(['a'])), { timeout: 10_000 }).toEqual(['2']);
    await expect.poll(() => kept.isTracking, { timeout: 10_000 }).toBe(true);
    await others.set('a', '3');
    await expect.poll(() => kept.get(named(['a']))).toEqual(['3']);
  });

  it('cache nothing while the connection for invalidations is to another server', async () => {
    await using stack = new AsyncDisposableStack();
    const connect = async (role: 'cache' | 'queue', hearsChanges = false) => {
      const { url } = stack.use(await createTestRedis(role));
      const options = { commandTimeoutMs: 10_000, role: 'cache' as const, name: role, hearsChanges };
      return stack.use(await openRedis(url, { ...options, log: silentLog() }));
    };
    const [reads, changes] = [await connect('cache'), await connect('queue', true)];
    const kept = stack.use(
      new TrackedReads(reads, changes, {
        ...{ decode: String, keyOf, maxBytes: 1000, heartbeatMs: 20, clock: systemClock, log: silentLog() },
      }),
    );
    let connections = 0;
    changes.on('ready', () => connections++);
    // It looks again whether both are connected to the same one now.
    await expect.poll(() => connections, { timeout: 10_000 }).toBeGreaterThan(1);
    expect(kept.isTracking).toBe(false);
    await reads.set('a', '1');
    expect(await kept.get(named(['a']))).toEqual(['1']);
  });
});
