import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { describe, expect, it } from 'vitest';
import { linearModel, logPredictions, manifestText, openStores, push } from '../../testing/fixture.ts';
import { acceptedCorrections, approveUpload, previewUpload, withdrawUpload } from './correction-store.ts';
import { stageCorrections } from './stage-corrections.ts';

describe('corrections', () => {
  it('are staged with a report, count when another key approves, and go when they are withdrawn or contradicted', async () => {
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
});
