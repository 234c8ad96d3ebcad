import { readFileSync } from 'node:fs';
import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { record } from '@hotloop/model/testing/manifests.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import { expect, it } from 'vitest';
import { floatsOf, itemMaker } from './testing/infer-items.ts';
import { modelOf, storeVersion } from './testing/model-bundles.ts';
import { startTestCompute } from './testing/start-test-compute.ts';

const MIXED = `name: mixed
features:
  - {name: age, from: request.age, input: age}
  - {name: city, from: request.city, type: text, input: city}
  - {name: plan, from: request.plan, type: text, input: plan}
`;

it('serves features that feed one input per column, logs them with their names, and names an input that does not fit', async () => {
  const onnx = readFileSync(new URL('../../model/src/testing/cases/mixed-columns.onnx', import.meta.url));
  await using test = await startTestCompute();
  test.registry.set(modelOf([await storeVersion(test.store, 1, MIXED, onnx)], { live: 1 }));
  test.registry.publish();
  await test.until('mixed', 1, 'ready');
  const request = record<AttributeValue>({ age: 30, city: 'Rome', plan: 'pro' });
  const rows = compileFeaturePlan(parseManifest(MIXED)).run(
    { request, entities: record({}), candidates: [] },
    [],
    0,
  );
  const item = { ...itemMaker()('mixed', 1, [[0]]), ...rows };
  const { outputs } = await test.compute.port.infer(item);
  const scores = floatsOf(outputs.find(({ name }) => name === 'probabilities')?.contents ?? new Uint8Array());
  expect(scores[0]).toBeCloseTo(0.99362, 5);
  expect(scores[1]).toBeCloseTo(0.00638, 5);

  const uneven = rows.tensors.map((tensor) =>
    tensor.name === 'city' ? { ...tensor, shape: [2, 1] } : tensor,
  );
  const refused = { ...itemMaker()('mixed', 1, [[0]]), ...rows, tensors: uneven };
  await expect(test.compute.port.infer(refused)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('"city" has 2 rows'),
  });

  await test.compute.flushLog(20_000);
  const logged = await test.pool.query(
    'SELECT columns, input_spec FROM prediction WHERE prediction_id = $1',
    [item.predictionId],
  );
  expect(logged.rows).toEqual([
    {
      columns: 0,
      input_spec: [
        { name: 'age', datatype: 'FP32', shape: [1, 1] },
        { name: 'city', datatype: 'BYTES', shape: [1, 1] },
        { name: 'plan', datatype: 'BYTES', shape: [1, 1] },
      ],
    },
  ]);
});
