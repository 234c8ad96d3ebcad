import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { type ArchivedEvent, eventLine, openEventArchive } from '@hotloop/platform/archive/event-archive.ts';
import { describe, expect, it } from 'vitest';
import { openStores } from '../testing/fixture.ts';
import { allCells } from '../training/feature-cells.ts';
import { importDataset } from './import-dataset.ts';
import { eventsOfRequests } from './past-events.ts';

const HOUR = 3_600_000;
const START = Date.parse('2025-03-01T00:00:00Z');

const event = (user: string, hour: number, price: number, lateHours = 0): ArchivedEvent => ({
  key: `${user}-${hour}`,
  type: 'buy',
  atMs: START + hour * HOUR,
  arrivalUs: (START + (hour + lateHours) * HOUR) * 1000,
  entities: { user },
  fields: Object.assign(Object.create(null), { price }),
});

/** u1 buys at hours 1, 5 and 30; what it bought at hour 6 arrives at hour 40. */
const EVENTS = [event('u1', 1, 10), event('u1', 5, 20), event('u1', 6, 500, 34), event('u1', 30, 7)];

const MANIFEST = `name: past
task: TASK
features:
  - {name: visits, from: request.visits}
  - {name: buys_1d, from: history.user.buy.count, window: 1d, missing: 0}
  - {name: spent, from: history.user.buy.sum(price), missing: 0}
`;
const at = (hour: number) => new Date(START + hour * HOUR).toISOString();
const LABELS = [
  'user,visits,at,label',
  `u1,3,${at(7)},1`,
  `u1,4,${at(31)},0`,
  `u1,5,${at(41)},1`,
  `u2,6,${at(41)},0`,
];

async function build(manifest: string, lines: readonly string[], countFrom: 'arrival' | 'time') {
  await using stores = await openStores();
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-build-'));
  try {
    await using archive = await openEventArchive(stores.objects);
    await writeFile(join(folder, 'events.jsonl'), EVENTS.map(eventLine).join(''));
    await archive.addFile(join(folder, 'events.jsonl'));
    const file = join(folder, 'labels.csv');
    await writeFile(file, lines.join('\n'));
    return await importDataset(file, parseManifest(manifest), { label: 'label', at: 'at' }, stores, {
      archive,
      countFrom,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe('a training set from past labels', () => {
  it('contains features as of each row’s time; late events count from their arrival', async () => {
    const built = await build(MANIFEST.replace('TASK', 'binary'), LABELS, 'arrival');
    expect(built).toMatchObject({ examples: 4, refused: 0, withEvents: 3 });
    const features = allCells(built.training.rows > built.holdout.rows ? built.training : built.holdout);
    const rows = [
      [3, 2, 30],
      [4, 1, 37],
      [5, 1, 537],
      [6, 0, 0],
    ];
    const all = [...allCells(built.training), ...allCells(built.holdout)];
    expect(all).toHaveLength(12);
    for (let from = 0; from < all.length; from += 3) expect(rows).toContainEqual(all.slice(from, from + 3));
    expect(features.length).toBeGreaterThan(0);
  });

  it('can count events that were imported later as of their own time', async () => {
    const built = await build(MANIFEST.replace('TASK', 'binary'), LABELS, 'time');
    const all = [...allCells(built.training), ...allCells(built.holdout)];
    const first = all.indexOf(3);
    expect(all.slice(first, first + 3)).toEqual([3, 3, 530]);
  });

  it('names the line of a row that has no time', async () => {
    const lines = [
      ...LABELS,
      ...Array.from({ length: 12 }, (_, hour) => `u1,1,${at(hour)},1`),
      'u1,3,soon,1',
    ];
    const built = await build(MANIFEST.replace('TASK', 'binary'), lines, 'arrival');
    expect(built.problems).toEqual([expect.stringContaining('line 18: at must be a time of RFC 3339')]);
  });

  it('refuses more events at once than fit into memory', async () => {
    const archive = {
      async *read() {
        yield EVENTS;
      },
    };
    const requests = [{ entities: { user: 'u1' }, candidates: [], atMs: START }];
    await expect(eventsOfRequests(archive, requests, ['buy'], 3)).rejects.toMatchObject({
      reason: 'too_many_events',
    });
  });
});
