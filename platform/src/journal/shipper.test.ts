import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  NOW,
  openShipperStand,
  QUICK,
  type ShipperStand,
  type Start,
  thing,
} from '../testing/shipper-stand.ts';

/** Number of files that contain the word. */
function secretsIn(directory: string): number {
  return readdirSync(directory).filter((name) => readFileSync(join(directory, name)).includes('secret'))
    .length;
}

let stand: ShipperStand;
beforeEach(async () => {
  stand = await openShipperStand();
});
afterEach(() => stand[Symbol.asyncDispose]());

describe.each([
  ['in this thread', 'startHere'],
  ['in a separate thread', 'startThread'],
] as const)('a shipper %s', (_, how) => {
  const start: Start = (...all) => stand[how](...all);

  it('stores every type in Postgres unchanged', async () => {
    await using journal = stand.open();
    await using shipper = start(journal);
    const odd = thing(NOW + 0.5, { text: 'é\0"\\', numbers: ['', 'ü,"'] });
    await journal.append(odd, 'process');
    await journal.append(thing(NOW, { text: null, numbers: [] }), 'process');
    await shipper.flush(10_000);
    const { rows } = await stand.pool.query('SELECT * FROM thing WHERE id = $1', [odd.id]);
    expect(rows[0]).toMatchObject({
      id: odd.id,
      content: 'é\ufffd"\\',
      tags: ['', 'ü,"'],
      detail: { text: 'é\ufffd"\\' },
      size: -7,
      big: String(2 ** 40),
      score: 0.25,
      raw: Buffer.from([1, 2, 3]),
      error: null,
    });
    expect(rows[0].at.getTime()).toBe(NOW);
    expect((await stand.pool.query('SELECT content, tags FROM thing WHERE id <> $1', [odd.id])).rows).toEqual(
      [{ content: null, tags: [] }],
    );
  });

  it.each([
    ['unpaired surrogates', 'a\ud800b\udc00', 'a\ufffdb\ufffd'],
    ['a surrogate pair', 'a\u{1f600}b', 'a\u{1f600}b'],
    ['text that only looks like an escape', '\\ud800 \\u0000 \\\\\0', '\\ud800 \\u0000 \\\\\ufffd'],
  ])('stores rows with %s in a text', async (_, text, kept) => {
    await using journal = stand.open();
    await using shipper = start(journal);
    const odd = thing(NOW, { text, numbers: [text] });
    await journal.append(odd, 'process');
    await shipper.flush(10_000);
    expect(shipper.counts()).toMatchObject({ shipped: 1, refused: 0 });
    const { rows } = await stand.pool.query('SELECT content, tags, detail FROM thing WHERE id = $1', [
      odd.id,
    ]);
    expect(rows).toEqual([{ content: kept, tags: [kept], detail: { text: kept } }]);
  });

  it('keeps one row per key however often it arrives, and lets an answer replace a failure', async () => {
    await using journal = stand.open();
    await using shipper = start(journal);
    const answered = thing(NOW, { text: 'first' });
    const failed = thing(NOW, { text: 'late', error: 'DEADLINE_EXCEEDED' });
    await journal.append(answered, 'process');
    await journal.append({ ...answered, text: 'again' }, 'process');
    await journal.append(failed, 'process');
    await shipper.flush(10_000);
    await journal.append({ ...answered, text: 'failed later', error: 'INTERNAL' }, 'process');
    await journal.append({ ...failed, text: 'answered', error: null }, 'process');
    await shipper.flush(10_000);
    const { rows } = await stand.pool.query('SELECT id, content, error FROM thing');
    expect(rows).toHaveLength(2);
    expect(rows).toContainEqual({ id: answered.id, content: 'first', error: null });
    expect(rows).toContainEqual({ id: failed.id, content: 'answered', error: null });
  });

  it('creates the partitions of the days it needs, concurrently with other shippers', async () => {
    const days = [0, 1, 2, 40];
    const folders = ['a', 'b', 'c'];
    await Promise.all(
      folders.map(async (folder) => {
        await using journal = stand.open(folder);
        await using shipper = start(journal);
        for (const day of days) await journal.append(thing(NOW + day * 86_400_000), 'process');
        await shipper.flush(10_000);
      }),
    );
    expect(await stand.count()).toBe(days.length * folders.length);
    const { rows } = await stand.pool.query(
      "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'thing'::regclass ORDER BY 1",
    );
    expect(rows.map((partition) => partition.name)).toEqual([
      'thing_20260601',
      'thing_20260602',
      'thing_20260603',
      'thing_20260711',
    ]);
  });

  it('gathers steady traffic into few transactions', async () => {
    await using journal = stand.open();
    await using shipper = start(journal, { ...QUICK, gatherMs: 100 });
    const begun = performance.now();
    let appended = 0;
    for (; performance.now() - begun < 600; appended++) {
      await journal.append(thing(), 'process');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const elapsed = performance.now() - begun;
    await shipper.flush(10_000);
    // Rows of one shipment have the same transaction id.
    const { rows } = await stand.pool.query('SELECT count(DISTINCT xmin::text)::int AS shipments FROM thing');
    expect(await stand.count()).toBe(appended);
    expect(rows[0].shipments).toBeLessThanOrEqual(elapsed / 100 + 3);
  });

  it('is flushed at once, in whichever of its pauses the flush is called', async () => {
    await using journal = stand.open();
    await using shipper = start(journal, { ...QUICK, gatherMs: 3_600_000 });
    for (let round = 0; round < 12; round++) {
      for (let index = 0; index < 20; index++) await journal.append(thing(), 'process');
      await shipper.flush(10_000);
      // From directly after a shipment to deep inside the gathering pause.
      await new Promise((resolve) => setTimeout(resolve, round * 10));
    }
    expect(await stand.count()).toBe(240);
  });

  it('deletes what it has shipped', async () => {
    await using journal = stand.open('one', 4_000);
    await using shipper = start(journal);
    for (let index = 0; index < 300; index++) await journal.append(thing(), 'process');
    await shipper.flush(10_000);
    expect(journal.bytes()).toBeLessThan(8_000);
    expect(await stand.count()).toBe(300);
  });

  it('removes shipped rows from disk soon, and continues after that, also in a new process', async () => {
    const logged: string[] = [];
    for (const round of [1, 2]) {
      await using journal = stand.open('renewed', 1 << 20, 20);
      await using shipper = start(journal);
      for (const text of ['first', 'second']) {
        await journal.append(thing(NOW, { text: `${text}-secret` }), 'process');
        await shipper.flush(10_000);
        await expect.poll(() => secretsIn(journal.directory), { timeout: 20_000 }).toBe(0);
      }
      expect(await stand.count()).toBe(round * 2);
      logged.push(`${shipper.counts().lostBytes}`);
    }
    expect(logged).toEqual(['0', '0']);
  });

  it('puts the smallest and the largest id of a day into that day', async () => {
    await using journal = stand.open();
    await using shipper = start(journal);
    const midnight = Date.UTC(2026, 0, 2);
    await journal.append(thing(NOW, { id: firstPredictionIdAt(midnight) }), 'process');
    await journal.append(
      thing(NOW, { id: `${firstPredictionIdAt(midnight - 1).slice(0, 14)}7fff-bfff-ffffffffffff` }),
      'process',
    );
    await shipper.flush(10_000);
    const { rows } = await stand.pool.query('SELECT tableoid::regclass::text AS name FROM thing ORDER BY id');
    expect(rows.map((found) => found.name)).toEqual(['thing_20260101', 'thing_20260102']);
  });
});
