import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { columnKeys } from '@hotloop/model/manifest/column-keys.ts';
import { dataSchema } from '@hotloop/model/manifest/data-schema.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { openDuckDb, parquetSource } from '@hotloop/platform/duckdb/duckdb.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manifestText } from '../testing/fixture.ts';
import { allCells } from '../training/feature-cells.ts';
import { type Dataset, joinParts, loadDataset, pickRows } from './dataset.ts';
import { RowSpool } from './row-spool.ts';
import { writeDataset } from './write-dataset.ts';

interface Example {
  readonly id: number;
  readonly row?: number;
  readonly label?: number;
}

const COLUMNS = columnKeys(parseManifest(manifestText('m')));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hotloop-dataset-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function written(
  examples: readonly Example[],
  { holdout = 0.3, data = {}, newest = examples.length, add = 0 } = {},
) {
  const own = await mkdtemp(join(folder, 'one-'));
  await using spool = await RowSpool.create(own, 2);
  for (const { id, row = 0, label = 1 } of examples)
    await spool.append(
      { predictionId: `p${id}`, row, at: id, label, weight: 1, source: 'sdk', version: 1, key: `p${id}` },
      Float32Array.of(id + add, row),
    );
  spool.keepNewest(newest);
  const path = join(own, 'dataset.parquet');
  const split = { holdout, data: dataSchema.parse(data), hasParent: false };
  const dataset = await writeDataset(spool, path, { model: 'm', columns: COLUMNS, split, parentTo: 0 });
  return { ...dataset, path };
}

describe('a dataset', () => {
  it('is read as it was written, with its parts, and by any reader of Parquet', async () => {
    const examples = Array.from({ length: 10 }, (_, id) => ({ id: id >> 1, row: id % 2, label: id % 2 }));
    const { path, ...made } = await written(examples, { holdout: 0.2 });
    expect(made).toMatchObject({
      examples: 10,
      positives: 5,
      parts: { training: 8, holdout: 2, frozen: 0, left_out: 0, validation: 0 },
      from: 1,
      to: 4,
    });
    const { training, holdout } = await loadDataset(path);
    expect(training).toMatchObject({ rows: 8, columns: 2 });
    expect([...allCells(training).subarray(0, 6)]).toEqual([0, 0, 0, 1, 1, 0]);
    expect([...holdout.groups]).toEqual([4, 4]);
    expect([...holdout.labels]).toEqual([0, 1]);
    await using database = await openDuckDb();
    const rows = await database.query(
      `SELECT part, label, x, y FROM ${parquetSource([path])} WHERE "group" = 4`,
    );
    expect(rows).toEqual([
      { part: 'holdout', label: 0, x: 4, y: 0 },
      { part: 'holdout', label: 1, x: 4, y: 1 },
    ]);
  });

  it('is the same if its vectors stay in a file: whole, joined and selected', async () => {
    const examples = Array.from({ length: 40 }, (_, id) => ({ id: id >> 1, row: id % 2, label: id % 3 }));
    const { path } = await written(examples, { data: { frozen: 0.2 } });
    using held = await loadDataset(path);
    using stored = await loadDataset(path, 0);
    for (const part of ['training', 'holdout', 'frozen', 'validation'] as const) {
      const { features, ...rest } = stored[part];
      expect(features.length).toBe(held[part].features.length);
      expect(allCells(stored[part])).toEqual(allCells(held[part]));
      const { features: _held, ...same } = held[part];
      expect(rest).toEqual(same);
    }
    const both = ({ holdout, training }: Dataset) => joinParts([holdout, training]);
    expect(allCells(both(stored))).toEqual(allCells(both(held)));
    const rows = [5, 0, 11];
    const [picked, same] = [pickRows(both(stored), rows), pickRows(both(held), rows)];
    expect(allCells(picked)).toEqual(allCells(same));
    expect(picked.labels).toEqual(same.labels);
    expect(() => joinParts([stored.training, held.holdout])).toThrow(RangeError);
  });

  it('has the same digest for the same rows, and another for any change', async () => {
    const examples = [{ id: 1 }, { id: 2, label: 0 }, { id: 3 }];
    const { sha256 } = await written(examples);
    expect((await written(examples)).sha256).toBe(sha256);
    const changes = await Promise.all([
      written([{ id: 1 }, { id: 2, label: 1 }, { id: 3 }]),
      written([{ id: 1 }, { id: 2, label: 0 }]),
      written([{ id: 1 }, { id: 2, label: 0 }, { id: 4 }]),
      written(examples, { holdout: 0.6 }),
      written(examples, { add: 1 }),
    ]);
    expect(new Set([sha256, ...changes.map((one) => one.sha256)]).size).toBe(6);
  });

  it('keeps the newest rows that fit, never parts of a prediction', async () => {
    const examples = Array.from({ length: 9 }, (_, index) => ({ id: Math.floor(index / 3), row: index % 3 }));
    const { path, examples: kept } = await written(examples, { newest: 5 });
    expect(kept).toBe(3);
    const { training, holdout } = await loadDataset(path);
    expect([...allCells(training), ...allCells(holdout)].filter((_, index) => index % 2 === 0)).toEqual([
      2, 2, 2,
    ]);
  });

  it('balances the classes if declared, and numbers the folds', async () => {
    const examples = Array.from({ length: 100 }, (_, id) => ({ id, label: id % 10 === 0 ? 1 : 0 }));
    const { path } = await written(examples, { data: { classes: 'balanced', folds: 5 } });
    const { training } = await loadDataset(path);
    const weightOf = (label: number) =>
      training.weights.reduce((sum, weight, row) => sum + (training.labels[row] === label ? weight : 0), 0);
    expect(weightOf(1)).toBeCloseTo(weightOf(0), 2);
    await using database = await openDuckDb();
    const folds = await database.query(
      `SELECT DISTINCT part, fold FROM ${parquetSource([path])} ORDER BY ALL`,
    );
    expect(folds).toEqual([
      ...[0, 1, 2, 3, 4].map((fold) => ({ part: 'holdout', fold })),
      ...[0, 1, 2, 3, 4].map((fold) => ({ part: 'training', fold })),
    ]);
  });

  it('may be empty', async () => {
    const { path, ...made } = await written([]);
    expect(made).toMatchObject({ examples: 0, from: 0, to: 0 });
    expect(await loadDataset(path)).toMatchObject({ training: { rows: 0 }, holdout: { rows: 0 } });
  });
});
