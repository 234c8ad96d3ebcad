import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-node';
import { expect, it } from 'vitest';
import { dropZipMap } from './drop-zip-map.ts';
import { inspectModel } from './inspect.ts';

const file = (name: string) => readFileSync(new URL(`../testing/cases/${name}`, import.meta.url));

it('converts a sequence of maps back to the matrix of probabilities, under the same name', async () => {
  const onnx = file('zip-map.onnx');
  expect(() => inspectModel(onnx)).toThrow(/not a tensor/);
  const rewritten = dropZipMap(onnx);
  expect(rewritten?.dropped).toEqual([{ name: 'output_probability', labels: ['no', 'yes'] }]);
  const { outputs } = inspectModel(rewritten?.onnx ?? new Uint8Array());
  expect(outputs.map(({ name, elementType }) => [name, elementType])).toEqual([
    ['output_label', 'string'],
    ['output_probability', 'float32'],
  ]);
  const session = await ort.InferenceSession.create(rewritten?.onnx ?? new Uint8Array());
  const feeds = { X: new ort.Tensor('float32', Float32Array.of(0, 0, 3, 3), [2, 2]) };
  const probabilities = (await session.run(feeds)).output_probability as ort.Tensor;
  const numbers = [...(probabilities.data as Float32Array)];
  expect(probabilities.dims).toEqual([2, 2]);
  expect((numbers[0] ?? 0) + (numbers[1] ?? 0)).toBeCloseTo(1, 5);
  expect(numbers[3]).toBeGreaterThan(0.5);
});

it('leaves a file without ZipMap unchanged', () => {
  expect(dropZipMap(file('tree-with-nan.onnx'))).toBeUndefined();
});
