import { mkdtemp, mkdtempDisposable, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { openDuckDb } from '@hotloop/platform/duckdb/duckdb.ts';
import { describe, expect, it } from 'vitest';
import { readTable } from '../../datasets/read-table.ts';
import { RowSpool } from '../../datasets/row-spool.ts';
import { appendTold } from '../../datasets/told-examples.ts';
import { readRegressionCases } from '../../improve/regression-cases.ts';
import { linearModel, logPredictions, manifestText, openStores, push } from '../../testing/fixture.ts';
import { allCells } from '../../training/feature-cells.ts';
import {
  acceptedCorrections,
  approveUpload,
  previewUpload,
  waiveCases,
  withdrawUpload,
} from './correction-store.ts';
import { correctionRows, stageCorrections } from './stage-corrections.ts';

async function firstCells(path: string) {
  for await (const { cells } of readTable(path)) return cells;
  return undefined;
}

describe('corrections', () => {
  it('are staged with a report, count after approval by another key, and end when withdrawn or contradicted', async () => {
    await using stores = await openStores();
    const { pool } = stores;
    await push(stores, manifestText('m'), linearModel());
    const ids = await logPredictions(
      pool,
      Array.from({ length: 3 }, () => ({ model: 'm', features: [1, 2] })),
    );
    const stage = (by: string, rows: readonly (readonly [string | undefined, string])[]) =>
      stageCorrections(
        (async function* () {
          for (const [index, [prediction_id, label]] of rows.entries())
            yield { line: index + 2, cells: { prediction_id: prediction_id ?? '', label } };
        })(),
        parseManifest(manifestText('m')),
        { by, fileSha256: '', note: '' },
        pool,
      );
    const unknown = '018bcfe5-6800-7000-8000-000000000001';
    const first = await stage('ada', [
      [ids[0], '1'],
      [ids[0], '1'],
      [ids[1], '0'],
      [ids[2], '1'],
      [ids[2], '0'],
      [unknown, '1'],
      ['nonsense', '1'],
      [ids[1], 'maybe'],
    ]);
    expect(first).toMatchObject({
      state: 'staged',
      rows: 8,
      accepted: 4,
      refused: 4,
      counts: { staged: 2, contradicted: 2 },
    });
    expect(first.problems.map(({ line }) => line).sort()).toEqual([3, 6, 7, 8, 9]);
    expect(await acceptedCorrections(pool, 'm')).toEqual([]);
    expect(await previewUpload(pool, first.uploadId)).toEqual({
      added: 2,
      changed: 0,
      same: 0,
      contradicting: 0,
      versions: [1],
    });
    await expect(approveUpload(pool, first.uploadId, 'ada', true)).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    await approveUpload(pool, first.uploadId, 'bob', true);
    await expect(approveUpload(pool, first.uploadId, 'bob', true)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    expect((await acceptedCorrections(pool, 'm')).map(({ label }) => label)).toEqual([1, 0]);
    const second = await stage('eve', [[ids[0], '0']]);
    expect(await previewUpload(pool, second.uploadId)).toMatchObject({
      changed: 1,
      added: 0,
      contradicting: 1,
    });
    expect(await approveUpload(pool, second.uploadId, 'bob', true)).toMatchObject({
      counts: { contradicted: 1 },
    });
    expect((await acceptedCorrections(pool, 'm')).map(({ label }) => label)).toEqual([0]);
    await expect(
      waiveCases(pool, first.uploadId, { lines: [2], reason: ' ', actor: 'bob', at: 1 }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(
      waiveCases(pool, first.uploadId, { lines: [99], reason: 'rare', actor: 'bob', at: 1 }),
    ).rejects.toMatchObject({ reason: 'no_regression_case' });
    const waived = await waiveCases(pool, first.uploadId, {
      ...{ lines: null, reason: 'rare', actor: 'bob', at: Date.now() },
    });
    expect(waived.counts).toMatchObject({ waived: 1 });
    expect(await acceptedCorrections(pool, 'm')).toEqual([]);
    const { rows: told } = await pool.query(
      `SELECT actor, detail FROM ledger WHERE action = 'waive_corrections'`,
    );
    expect(told).toEqual([{ actor: 'bob', detail: expect.objectContaining({ lines: [4], reason: 'rare' }) }]);
    await withdrawUpload(pool, first.uploadId);
    expect(await acceptedCorrections(pool, 'm')).toEqual([]);
    const { rows } = await pool.query(
      'SELECT source, kind, count(*)::int FROM outcome GROUP BY 1, 2 ORDER BY 1, 2',
    );
    expect(rows).toEqual([
      { source: 'analyst:ada', kind: 'label', count: 2 },
      { source: 'analyst:ada', kind: 'retract', count: 2 },
    ]);
  });

  it('of a file without rows or labels are refused; cells of any type of Parquet are read or refused by line', async () => {
    await using stores = await openStores();
    await push(stores, manifestText('m'), linearModel());
    const [id, other] = await logPredictions(
      stores.pool,
      [1, 2].map((x) => ({ model: 'm', features: [x, 2] })),
    );
    const manifest = parseManifest(manifestText('m'));
    await using folder = await mkdtempDisposable(join(tmpdir(), 'corrections-'));
    const path = join(folder.path, 'file');
    const source = { by: 'ada', fileSha256: '', note: '' };
    const stage = () => stageCorrections(correctionRows(path, manifest), manifest, source, stores.pool);
    await writeFile(path, 'prediction_id,label\n');
    await expect(stage()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/no rows/),
    });
    await writeFile(path, `prediction_id,label\n${id},\n`);
    await expect(stage()).rejects.toMatchObject({
      reason: 'no_labels',
      message: expect.stringMatching(/none of the 1 rows/),
    });
    await using database = await openDuckDb();
    const parquet = (rows: string) => database.writeParquet(`SELECT * FROM (${rows})`, path);
    const odd = `interval 3 day AS note, time '10:00' AS t, MAP {'a': 1::hugeint} AS m, '\\x01'::blob AS b`;
    await parquet(
      `SELECT '${id}'::uuid AS prediction_id, 1.0::decimal(9, 2) AS label, ${odd}
       UNION ALL SELECT '${other}', 'nan'::double, ${odd}`,
    );
    expect(await stage()).toMatchObject({ accepted: 1, refused: 0, rows: 1 });
  });

  it('keep whole numbers that a double cannot hold as texts', async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), 'corrections-'));
    const path = join(folder.path, 'file');
    await writeFile(path, '{"user": 9007199254740993, "small": 7, "real": 9007199254740993.5, "label": 1}\n');
    expect(await firstCells(path)).toEqual({
      user: '9007199254740993',
      small: 7,
      real: 2 ** 53 + 2,
      label: 1,
    });
    await using database = await openDuckDb();
    await database.writeParquet('SELECT 9007199254740993 AS "user", 7::bigint AS small', path);
    expect(await firstCells(path)).toEqual({ user: '9007199254740993', small: 7 });
  });

  it('may contain the features of an example instead of naming a prediction', async () => {
    await using stores = await openStores();
    const { pool } = stores;
    await push(stores, manifestText('m'), linearModel());
    const manifest = parseManifest(manifestText('m'));
    const stage = (rows: readonly Record<string, string>[]) =>
      stageCorrections(
        (async function* () {
          for (const [index, cells] of rows.entries()) yield { line: index + 2, cells };
        })(),
        manifest,
        { by: 'ada', fileSha256: '', note: '' },
        pool,
      );
    const first = await stage([
      { x: '1', y: '2', label: '1' },
      { x: '3', y: 'many', label: '1' },
      { x: '5', y: '6', label: '7' },
      { x: '7', y: '8', label: '0' },
      { other: '1', label: '0' },
    ]);
    expect(first).toMatchObject({ accepted: 2, refused: 3, counts: { staged: 2 } });
    expect(first.problems.map(({ line }) => line)).toEqual([3, 4, 6]);
    await approveUpload(pool, first.uploadId, 'bob', false);
    const cases = await readRegressionCases(pool, manifest);
    expect([...allCells(cases.rows)]).toEqual([1, 2, 7, 8]);
    expect([...cases.rows.labels]).toEqual([1, 0]);
    const folder = await mkdtemp(join(tmpdir(), 'hotloop-told-'));
    {
      await using spool = await RowSpool.create(folder, 2);
      expect(await appendTold(pool, manifest, spool)).toEqual([]);
      expect([0, 1].map((row) => spool.at(row))).toMatchObject([
        { label: 1, source: 'analyst:ada' },
        { label: 0, source: 'analyst:ada' },
      ]);
    }
    await rm(folder, { recursive: true });
    // Another upload contradicts one of them: neither counts.
    const second = await stage([{ x: '1', y: '2', label: '0' }]);
    await approveUpload(pool, second.uploadId, 'bob', false);
    expect((await acceptedCorrections(pool, 'm')).map(({ label }) => label)).toEqual([0]);
  });
});
