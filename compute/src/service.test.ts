import { describe, expect, it } from 'vitest';
import { floatsOf, itemMaker } from './testing/infer-items.ts';
import { featureManifest, modelOf, storeVersion } from './testing/model-bundles.ts';
import { startTestCompute } from './testing/start-test-compute.ts';

describe('compute', () => {
  it('serves a live version and keeps each pair exactly once in Postgres', async () => {
    await using test = await startTestCompute();
    const version = await storeVersion(test.store, 1, featureManifest('tiny', 4));
    test.registry.set(modelOf([version], { live: 1 }));
    test.registry.publish();
    await test.until('tiny', 1, 'ready');
    const item = itemMaker();
    const items = Array.from({ length: 200 }, (_, index) => item('tiny', 1, [[index / 100, 1, -1, 0.5]]));
    const outputs = await Promise.all(items.map((one) => test.compute.port.infer(one)));
    for (const output of outputs) {
      expect(output.outputs[0]?.name).toBe('score');
      const [score] = floatsOf(output.outputs[0]?.contents ?? new Uint8Array());
      expect(score).toBeGreaterThan(0);
      expect(score).toBeLessThan(1);
    }
    // Send the same items again: a retry is answered, and logged only once.
    await Promise.all(items.slice(0, 50).map((one) => test.compute.port.infer(one)));
    await test.compute.flushLog(10_000);
    const { rows } = await test.pool.query('SELECT * FROM prediction ORDER BY prediction_id');
    expect(rows).toHaveLength(200);
    const first = items[0];
    const row = rows.find((candidate) => candidate.prediction_id === first?.predictionId);
    expect(row).toMatchObject({
      model: 'tiny',
      version: 1,
      variant: 'live',
      propensity: 1,
      caller: 'test',
      entities: { user: 'u1' },
      rows: 1,
      columns: 4,
      input_spec: [],
      output_spec: [{ name: 'score', datatype: 'FP32', shape: [1, 1] }],
      error_code: null,
      node: 'test',
    });
    const indexes = await test.pool.query(
      "SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'prediction\\_2%' AND indexdef LIKE '%USING brin (at)%'",
    );
    expect(indexes.rows.length).toBeGreaterThan(0);
    expect(floatsOf(row.features)).toEqual([0, 1, -1, 0.5]);
    expect(floatsOf(row.outputs)).toEqual(floatsOf(outputs[0]?.outputs[0]?.contents ?? new Uint8Array()));
  });
});
