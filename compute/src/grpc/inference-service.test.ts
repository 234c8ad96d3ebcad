import { describe, expect, it } from 'vitest';
import { itemMaker } from '../testing/infer-items.ts';
import { featureManifest, modelOf, storeVersion } from '../testing/model-bundles.ts';
import { openInferenceClient } from '../testing/open-inference-client.ts';
import { startTestCompute } from '../testing/start-test-compute.ts';

describe('hotloop.v1.InferenceService', () => {
  it('answers each item of a stream independently: an invalid item fails alone', async () => {
    await using test = await startTestCompute();
    const version = await storeVersion(test.store, 1, featureManifest('tiny', 4));
    test.registry.set(modelOf([version], { live: 1 }));
    test.registry.publish();
    await test.until('tiny', 1, 'ready');
    await using client = openInferenceClient(test.compute.address);
    const make = itemMaker();
    const ask = (...args: Parameters<typeof make>) =>
      client.framed.call(
        { ...make(...args), candidates: [], degraded: [] },
        { timeoutMs: args[3]?.timeoutMs ?? 10_000 },
      );
    const settled = await Promise.allSettled([
      ask('tiny', 1, [[1, 2, 3, 4]]),
      ask('tiny', 1, [[1, 2, 3]]),
      ask('tiny', 9, [[1, 2, 3, 4]]),
      ask('other', 1, [[1, 2, 3, 4]]),
      ask('tiny', 1, [[1, 2, 3, 4]], { predictionId: 'x' }),
      ask('tiny', 1, [[1, 2, 3, 4]], { features: new Uint8Array(15) }),
      ask('tiny', 1, [[Number.NaN, 2, 3, 4]]),
      ask(
        'tiny',
        1,
        [
          [1, 2, 3, 4],
          [4, 3, 2, 1],
        ],
        { propensity: 0.25 },
      ),
      ask('tiny', 1, [[1, 2, 3, 4]], { propensity: 1.5 }),
    ]);
    const codes = settled.map((result) => (result.status === 'fulfilled' ? 'OK' : result.reason.code));
    expect(codes).toEqual([
      'OK',
      'INVALID_ARGUMENT',
      'NOT_FOUND',
      'NOT_FOUND',
      'INVALID_ARGUMENT',
      'INVALID_ARGUMENT',
      'INTERNAL',
      'OK',
      'INVALID_ARGUMENT',
    ]);
    expect(settled[1]).toMatchObject({
      reason: { message: expect.stringContaining('takes 4 columns, not 3') },
    });
    expect(settled[6]).toMatchObject({ reason: { reason: 'nonfinite_output' } });
    const last = settled[7];
    expect(last?.status === 'fulfilled' && last.value.output?.outputs[0]?.shape).toEqual([2, 1]);
    // The answer with a non-finite number is in the log as well, with its error.
    await test.compute.flushLog(10_000);
    const { rows } = await test.pool.query(
      'SELECT error_code, outputs, propensity FROM prediction ORDER BY error_code',
    );
    expect(rows.map((row) => row.error_code)).toEqual(['INTERNAL', null, null]);
    expect(rows[0].outputs).toHaveLength(4);
    expect(rows.map((row) => row.propensity).sort()).toEqual([0.25, 1, 1]);
  });
});
