import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { describe, expect, it } from 'vitest';
import {
  type LoggedPrediction,
  linearModel,
  logPredictions,
  manifestText,
  openStores,
  push,
  type Stores,
} from '../testing/fixture.ts';
import { allCells } from '../training/feature-cells.ts';
import { COLLECT_DEFAULTS, collectDataset } from './collect-dataset.ts';
import { loadDataset } from './dataset.ts';

const HOUR = 3_600_000;

const KEYED = manifestText(
  'm',
  'outcome: {join: [user], positive: "event.type == \'buy\'", window: 1h, otherwise: 0}\n',
);
const RANKING = KEYED.replace('task: binary', 'task: ranking').replace('[user]', '[user, item]');

const LARGE_IMAGE =
  '  - {name: scan, from: request.scan, transform: [{image: {width: 224, height: 224, channels: 1}}]}\n';

async function happened(
  stores: Stores,
  rows: readonly {
    id: string;
    prediction?: string;
    keys?: object;
    value?: unknown;
    type?: string;
    at: number;
  }[],
) {
  for (const row of rows)
    await stores.pool.query(
      `INSERT INTO outcome (id, model, source, kind, prediction_id, keys, value, attributes, occurred_at)
       VALUES ($1, 'm', 'sdk', 'label', $2, $3, $4, $5, to_timestamp($6 / 1000.0))`,
      [
        row.id,
        row.prediction ?? null,
        JSON.stringify(row.keys ?? {}),
        row.value === undefined ? null : JSON.stringify(row.value),
        JSON.stringify(row.type ? { type: row.type } : {}),
        row.at,
      ],
    );
}

async function collect(stores: Stores, text: string, now: number, options = COLLECT_DEFAULTS) {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-collect-'));
  try {
    const request = { manifest: parseManifest(text), now, options, imports: [], parentTo: null };
    const { path, ...collected } = await collectDataset(stores.pool, request, folder);
    return { ...collected, ...(await loadDataset(path)) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('collecting a dataset', () => {
  it('contains served predictions (live, canary, pinned), not shadow, failed or of another feature plan', async () => {
    await using stores = await openStores();
    const now = Date.now();
    await push(stores, manifestText('m'), linearModel());
    const other = manifestText('m').replace('from: request.y', 'from: request.z');
    await push(stores, other, linearModel(2));
    const rows: Partial<LoggedPrediction>[] = [
      { variant: 'live' },
      { variant: 'canary' },
      { variant: 'pinned' },
      { variant: 'shadow' },
      { errorCode: 'INTERNAL' },
      { version: 2 },
      { features: [1, 2, 3], columns: 3 },
    ];
    const ids = await logPredictions(
      stores.pool,
      rows.map((row, index) => ({ model: 'm', features: [index, -index], at: now - 10_000 + index, ...row })),
    );
    await happened(
      stores,
      ids.map((prediction, index) => ({ id: `o${index}`, prediction, value: 1, at: now })),
    );
    const dataset = await collect(stores, manifestText('m'), now);
    expect(dataset).toMatchObject({
      examples: 3,
      cut: 7,
      unmatched: 4,
      training: { rows: 2 },
      holdout: { rows: 1 },
    });
    expect([...allCells(dataset.training), ...allCells(dataset.holdout)]).toEqual([0, -0, 1, -1, 2, -2]);
    expect((await collect(stores, manifestText('m'), now + 1)).sha256).toBe(dataset.sha256);
  });

  it('delays recent positives until the negatives of the same time are known', async () => {
    await using stores = await openStores();
    const now = Date.now();
    await push(stores, KEYED, linearModel());
    const ages = [3 * HOUR, 2 * HOUR, HOUR / 2, HOUR / 3];
    await logPredictions(
      stores.pool,
      ages.map((age, index) => ({
        model: 'm',
        features: [index, 1],
        at: now - age,
        entities: { user: `u${index}` },
      })),
    );
    await happened(stores, [
      { id: 'a', keys: { user: 'u0' }, type: 'buy', at: now - 3 * HOUR + 1000 },
      { id: 'b', keys: { user: 'u1' }, type: 'look', at: now - 2 * HOUR + 1000 },
      { id: 'c', keys: { user: 'u2' }, type: 'buy', at: now - HOUR / 2 + 1000 },
    ]);
    const early = await collect(stores, KEYED, now);
    expect(early).toMatchObject({ examples: 2, positives: 1, pending: 2 });
    const late = await collect(stores, KEYED, now + HOUR);
    expect(late).toMatchObject({ examples: 4, positives: 2, pending: 0 });
  });

  it('makes an example of every shown candidate', async () => {
    await using stores = await openStores();
    const now = Date.now();
    await push(stores, RANKING, linearModel());
    const [id] = await logPredictions(stores.pool, [
      {
        model: 'm',
        features: [0, 0, 1, 1, 2, 2],
        at: now - 2 * HOUR,
        entities: { user: 'u' },
        candidates: ['a', 'b', 'c'],
      },
      { model: 'm', features: [3, 3], at: now - 2 * HOUR + 1, entities: { user: 'u' }, candidates: ['z'] },
    ]);
    await stores.pool.query(
      `INSERT INTO decision (prediction_id, at, model, version, variant, shown, node) VALUES ($1, now(), 'm', 1, 'live', $2, 'n')`,
      [
        id,
        JSON.stringify([
          { id: 'b', rank: 1, score: 0.9, propensity: 0.5 },
          { id: 'a', rank: 2, score: 0.1, propensity: 0.01 },
        ]),
      ],
    );
    await happened(stores, [
      { id: 'o', keys: { user: 'u', item: 'b' }, type: 'buy', at: now - 2 * HOUR + 1000 },
    ]);
    const { training, holdout } = await collect(stores, RANKING, now);
    expect([...allCells(training)]).toEqual([0, 0, 1, 1]);
    expect([...training.labels]).toEqual([0, 1]);
    expect([...allCells(holdout)]).toEqual([3, 3]);
    expect([...training.weights]).toEqual([1, 1]);
    // What was shown rarely stands for more of what was not shown; nobody weighs more than the clip.
    const weighed = await collect(stores, `${RANKING}training: {data: {propensity: {clip: 10}}}\n`, now);
    expect([...weighed.training.weights]).toEqual([10, 2]);
  });

  it('omits the oldest rows beyond the limit', async () => {
    await using stores = await openStores();
    const now = Date.now();
    await push(stores, manifestText('m'), linearModel());
    const ids = await logPredictions(
      stores.pool,
      Array.from({ length: 10 }, (_, index) => ({
        model: 'm',
        features: [index, 0],
        at: now - 1000 + index,
      })),
    );
    await happened(
      stores,
      ids.map((prediction, index) => ({ id: `o${index}`, prediction, value: 1, at: now })),
    );
    const few = await collect(stores, manifestText('m'), now, { ...COLLECT_DEFAULTS, maxPredictions: 4 });
    expect(
      [...allCells(few.training), ...allCells(few.holdout)].filter((_, index) => index % 2 === 0),
    ).toEqual([6, 7, 8, 9]);
    expect(few.notes).toEqual([expect.stringContaining('older predictions are not used')]);
    const short = await collect(stores, manifestText('m'), now, { ...COLLECT_DEFAULTS, maxRows: 3 });
    expect(short.examples).toBe(3);
    const small = await collect(stores, manifestText('m'), now, {
      ...COLLECT_DEFAULTS,
      maxFeatureBytes: 5 * 8,
    });
    expect(small.examples).toBe(5);
    expect(small.notes).toEqual([
      'the oldest 5 labelled rows are left out: a dataset of this model holds 5 rows at most',
    ]);
  });

  it('keeps the history when a feature or category is added, and reports what is filled in or unusable', async () => {
    await using stores = await openStores();
    const now = Date.now();
    const before = manifestText('m').replace(
      '{name: y, from: request.y}',
      '{name: y, from: request.y, transform: [{one_hot: [a, b]}]}',
    );
    await push(stores, before, linearModel(1, 3));
    const ids = await logPredictions(
      stores.pool,
      Array.from({ length: 4 }, (_, index) => ({
        model: 'm',
        features: [index, 0, 1],
        columns: 3,
        at: now - 1000 + index,
      })),
    );
    await happened(
      stores,
      ids.map((prediction, index) => ({ id: `o${index}`, prediction, value: index % 2, at: now })),
    );
    const wider = before
      .replace('one_hot: [a, b]', 'one_hot: [c, b, a]')
      .replace('  - {name: x', '  - {name: z, from: request.z, missing: 7}\n  - {name: x');
    const dataset = await collect(stores, wider, now);
    expect(dataset).toMatchObject({ examples: 4, unusable: 0 });
    // z is filled in, x is kept, of y = c, b, a the category b was logged.
    expect([...allCells(dataset.training).subarray(5, 10)]).toEqual([7, 1, 0, 1, 0]);
    expect(dataset.notes).toEqual([expect.stringContaining('added z, y = c')]);
    const required = wider.replace(', missing: 7', '');
    const refused = await collect(stores, required, now);
    expect(refused.examples).toBe(0);
    expect(refused.notes).toEqual([expect.stringMatching(/version 1 are not used: feature z is new/)]);
  });

  it('gives missing values to a trainer program as NaN, and leaves them out of what is fine-tuned here', async () => {
    await using stores = await openStores();
    const now = Date.now();
    const yaml = manifestText('m').replace('from: request.x', 'from: request.x, missing: .nan');
    await push(stores, yaml, linearModel());
    const rows = [
      [1, 2],
      [Number.NaN, 2],
      // Only x may be missing.
      [1, Number.NaN],
      [Number.POSITIVE_INFINITY, 2],
      [0, 3],
    ];
    const ids = await logPredictions(
      stores.pool,
      rows.map((features, index) => ({ model: 'm', features, at: now - 1000 + index })),
    );
    await happened(
      stores,
      ids.map((prediction, index) => ({ id: `o${index}`, prediction, value: 1, at: now })),
    );
    const cellsOf = ({ training, holdout }: Awaited<ReturnType<typeof collect>>) => [
      ...allCells(training),
      ...allCells(holdout),
    ];
    const external = await collect(stores, `${yaml}training: {trainer: {command: [train.sh]}}\n`, now);
    expect(external).toMatchObject({ examples: 3, unusable: 2, notes: [] });
    expect(cellsOf(external)).toEqual([1, 2, Number.NaN, 2, 0, 3]);
    const here = await collect(stores, yaml, now);
    expect(here).toMatchObject({ examples: 2, unusable: 2 });
    expect(cellsOf(here)).toEqual([1, 2, 0, 3]);
    expect(here.notes).toEqual([expect.stringMatching(/^1 rows are not used: a value is missing/)]);
  });

  it('refuses a model whose log excludes one of its features, or whose images are too large', async () => {
    await using stores = await openStores();
    const redacted = manifestText('m', 'log: {redact: [y]}\n');
    await push(stores, redacted, linearModel());
    await expect(collect(stores, redacted, Date.now())).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('feature y'),
    });
    const large = redacted
      .replace(/features:\n( {2}- .*\n)+/, `features:\n${LARGE_IMAGE}`)
      .replace(/log: .*\n/, '');
    await expect(collect(stores, large, Date.now())).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('image scan has 50176 numbers'),
    });
  });

  it('omits corrections from the frozen holdout, and uses them elsewhere', async () => {
    await using stores = await openStores();
    const text = manifestText('m', 'training: {data: {frozen: 0.5}}\n');
    await push(stores, text, linearModel());
    const at = Date.now() - HOUR;
    const ids = await logPredictions(
      stores.pool,
      Array.from({ length: 30 }, (_, index) => ({ model: 'm', features: [index, 1], at: at + index })),
    );
    await happened(
      stores,
      ids.map((prediction) => ({ id: `o ${prediction}`, prediction, value: 0, at: at + 1000 })),
    );
    await stores.pool.query(
      `INSERT INTO outcome (id, model, source, kind, prediction_id, value, occurred_at)
       SELECT 'a ' || id, 'm', 'analyst:ada', 'label', id, '1', now() FROM unnest($1::uuid[]) id`,
      [ids],
    );
    const { training, holdout, frozen } = await collect(stores, text, Date.now());
    expect(frozen.rows).toBeGreaterThan(3);
    expect(frozen.rows + training.rows + holdout.rows).toBe(30);
    expect([...frozen.labels].every((label) => label === 0)).toBe(true);
    expect([...training.labels, ...holdout.labels].every((label) => label === 1)).toBe(true);
  });
});
