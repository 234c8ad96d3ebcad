import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { type ArchivedEvent, eventLine, openEventArchive } from '@hotloop/platform/archive/event-archive.ts';
import { describe, expect, it } from 'vitest';
import { logPredictions, openStores } from '../testing/fixture.ts';
import { checkParity } from './check-parity.ts';
import { recomputationOf } from './recompute-features.ts';

const NOW_MS = Date.now() - 60_000;

const manifest = parseManifest(`name: shop
features:
  - {name: price, from: request.price}
  - {name: views_1h, from: history.user.view.count, window: 1h, missing: 0}
  - {name: spent, from: history.user.buy.sum(price), missing: 0}
  - {name: per_view, from: "ratio(spent, views_1h)", missing: 0}
`);

const event = (type: string, user: string, agoMs: number, price: number, lateMs = 0): ArchivedEvent => ({
  key: `${type}-${user}-${agoMs}`,
  type,
  atMs: NOW_MS - agoMs,
  arrivalUs: (NOW_MS - agoMs + lateMs) * 1000,
  entities: { user },
  fields: Object.assign(Object.create(null), { price }),
});

const EVENTS = [
  event('view', 'u1', 3_700_000, 1),
  event('view', 'u1', 60_000, 1),
  event('view', 'u1', 50_000, 1),
  event('buy', 'u1', 40_000, 12),
  // It happened before the request, but arrived after it.
  event('buy', 'u1', 30_000, 100, 600_000),
];
const SERVED = [3, 2, 12, 6];

const request = (features: readonly number[]) => ({
  predictionId: 'p',
  atMs: NOW_MS,
  entities: { user: 'u1' },
  candidates: [],
  rows: 1,
  features: Float32Array.from(features),
});

describe('recomputing what was served', () => {
  const eventsOf = (events: readonly ArchivedEvent[]) => (_entity: string, _id: string, type: string) =>
    events.filter((one) => one.type === type).sort((a, b) => b.atMs - a.atMs);
  const recomputation = recomputationOf(manifest);

  it('agrees with the vector, and compares only features from history', () => {
    expect(recomputation?.features).toEqual(['views_1h', 'spent', 'per_view']);
    expect(recomputation?.differences(request(SERVED), eventsOf(EVENTS))).toEqual([]);
  });

  it('names each feature that differs', () => {
    expect(recomputation?.differences(request([3, 2, 13, 6]), eventsOf(EVENTS))).toEqual([
      { feature: 'spent', served: 13, recomputed: 12 },
    ]);
  });

  it('accepts both values if an event arrived around the request, and no third', () => {
    const near = [...EVENTS, event('view', 'u1', -1, 1, -2)];
    for (const views of [2, 3])
      expect(recomputation?.differences(request([3, views, 12, 12 / views]), eventsOf(near))).toEqual([]);
    expect(recomputation?.differences(request([3, 4, 12, 3]), eventsOf(near))).not.toEqual([]);
  });

  it('does nothing for a model without history', () => {
    expect(
      recomputationOf(parseManifest('name: m\nfeatures: [{name: a, from: request.a}]\n')),
    ).toBeUndefined();
  });
});

describe('parity', () => {
  it('compares the log with the archive and names the first request that differs', async () => {
    await using stores = await openStores();
    const folder = await mkdtemp(join(tmpdir(), 'hotloop-parity-'));
    try {
      await using archive = await openEventArchive(stores.objects);
      await writeFile(join(folder, 'events.jsonl'), EVENTS.map(eventLine).join(''));
      await archive.addFile(join(folder, 'events.jsonl'));
      const logged = (features: readonly number[], atMs: number) => ({
        ...{ model: 'shop', at: atMs, entities: { user: 'u1' }, features, columns: 4 },
      });
      const ids = await logPredictions(stores.pool, [
        logged(SERVED, NOW_MS),
        logged([3, 2, 12, 6.5], NOW_MS + 1),
        logged([3, 1, 12, 12], NOW_MS + 2),
        { ...logged([3, 2], NOW_MS + 3), columns: 2 },
      ]);
      const parity = await checkParity(
        { pool: stores.pool, archive, manifestOf: () => manifest },
        { model: 'shop', sinceMs: NOW_MS - 1000, untilMs: NOW_MS + 1000, most: 100 },
      );
      expect(parity).toMatchObject({ compared: 3, equal: 1, skipped: 1 });
      expect(parity.disagreeing).toMatchObject([
        { feature: 'per_view', differing: 2, firstPrediction: ids[1] },
        { feature: 'views_1h', differing: 1, firstPrediction: ids[2], served: 1, recomputed: 2 },
      ]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
