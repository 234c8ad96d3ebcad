import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { shadowIdOf } from '@hotloop/proto/shadow-id.ts';
import { describe, expect, it } from 'vitest';
import { keepBaseline } from '../../monitoring/keep-baseline.ts';
import { linearModel, logPredictions, manifestText, openStores, push } from '../../testing/fixture.ts';
import { type ExportFilter, exportPredictions } from './export-predictions.ts';
import { csvCell, csvOfPredictions } from './prediction-files.ts';

const ALL: ExportFilter = {
  fromMs: 0,
  toMs: Date.now() + 86_400_000,
  version: null,
  minScore: null,
  maxScore: null,
  margin: null,
  suspected: false,
  limit: 100,
};

describe('the export of predictions', () => {
  it('chooses by score, by confidence and by suspected label errors, newest or most certain first', async () => {
    await using stores = await openStores();
    const { pool } = stores;
    await push(stores, manifestText('m'), linearModel());
    const scores = [0.9, 0.95, 0.85, 0.1, 0.05, 0.15, 0.97, 0.52];
    const labels = [1, 1, 1, 0, 0, 0, 0, null];
    const at = Date.now() - 60_000;
    const ids = await logPredictions(
      pool,
      scores.map((_, index) => ({
        model: 'm',
        features: [1, 2],
        at: at + index,
        entities: { user: `=u${index}` },
      })),
    );
    for (const [index, id] of ids.entries()) {
      await pool.query(`UPDATE prediction SET outputs = $2, output_spec = $3 WHERE prediction_id = $1`, [
        id,
        Buffer.from(Float32Array.of(scores[index]!).buffer),
        JSON.stringify([{ name: 'score', datatype: 'FP32', shape: [1, 1] }]),
      ]);
      await pool.query(
        `INSERT INTO decision (prediction_id, at, model, version, variant, score, node) VALUES ($1, now(), 'm', 1, 'live', $2, 'n')`,
        [id, scores[index]],
      );
      if (labels[index] !== null)
        await pool.query(
          `INSERT INTO outcome (id, model, source, kind, prediction_id, value, occurred_at) VALUES ($1, 'm', 's', 'label', $2, $3, now())`,
          [`o${index}`, id, String(labels[index])],
        );
    }
    const manifest = parseManifest(manifestText('m'));
    const chosen = async (change: Partial<ExportFilter>) =>
      (await exportPredictions(pool, manifest, { ...ALL, ...change })).map(({ predictionId }) =>
        ids.indexOf(predictionId),
      );
    expect(await chosen({})).toEqual([7, 6, 5, 4, 3, 2, 1, 0]);
    expect(await chosen({ limit: 2 })).toEqual([7, 6]);
    expect(await chosen({ minScore: 0.9, maxScore: 0.96 })).toEqual([1, 0]);
    expect(await chosen({ margin: 0.1 })).toEqual([7]);
    expect(await chosen({ suspected: true })).toEqual([6]);
    expect(await chosen({ version: 2 })).toEqual([]);
    // An analyst's word outweighs a later one of a machine.
    await pool.query(
      `INSERT INTO outcome (id, model, source, kind, prediction_id, value, occurred_at) VALUES ('a', 'm', 'analyst:ada', 'label', $1, '1', now() - interval '10 s')`,
      [ids[6]],
    );
    expect(await chosen({ suspected: true })).toEqual([]);
    // A shadow of version 2 answered the third prediction otherwise, and the fourth alike.
    for (const [index, score] of [
      [2, 0.2],
      [3, scores[3]!],
    ] as const) {
      const [copy] = await logPredictions(pool, [
        { model: 'm', version: 2, variant: 'shadow', features: [1, 2], at: at + index },
      ]);
      await pool.query(
        'UPDATE prediction SET prediction_id = $2, outputs = $3, output_spec = $4 WHERE prediction_id = $1',
        [
          ...[copy, shadowIdOf(ids[index]!, 2), Buffer.from(Float32Array.of(score).buffer)],
          JSON.stringify([{ name: 'score', datatype: 'FP32', shape: [1, 1] }]),
        ],
      );
    }
    await pool.query(
      `INSERT INTO model_version (model, version, bundle_sha256, onnx_sha256, manifest)
       SELECT model, 2, 'other', onnx_sha256, manifest FROM model_version WHERE model = 'm'`,
    );
    expect(await chosen({ disagreement: 0.1 })).toEqual([2]);
    await expect(chosen({ drifted: 'x' })).rejects.toMatchObject({ reason: 'no_baseline' });
    await expect(chosen({ drifted: 'z' })).rejects.toMatchObject({ reason: 'no_such_feature' });
    const features = Float32Array.from({ length: 400 }, (_, index) => (index % 2 === 0 ? index / 100 : 5));
    await keepBaseline(pool, manifest, 1, { rows: 200, columns: 2, features });
    // y was 5 in training and is 2 in every prediction.
    expect(await chosen({ drifted: 'x' })).toEqual([]);
    expect(await chosen({ drifted: 'y', limit: 3 })).toEqual([7, 6, 5]);
    const csv = csvOfPredictions(await exportPredictions(pool, manifest, { ...ALL, limit: 1 }));
    expect(csv.split('\r\n')[1]).toContain('"{""user"":""=u7""}"');
    const regression = parseManifest(manifestText('m').replace('binary', 'regression'));
    await expect(exportPredictions(pool, regression, { ...ALL, suspected: true })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
  });

  it('writes no cell that a spreadsheet would run as a formula', () => {
    expect(['=1+1', '@x', '+1', '-1', '\tx', 'a,b', -1, 'plain'].map(csvCell)).toEqual([
      "'=1+1",
      "'@x",
      "'+1",
      "'-1",
      "'\tx",
      '"a,b"',
      '-1',
      'plain',
    ]);
  });
});
