import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import * as ort from 'onnxruntime-node';
import { expect, it } from 'vitest';
import { openSynchronousSession, tensorOf } from './synchronous-session.ts';

const ONNX = perceptron({ inputs: 3, hidden: [4], outputs: 1, activation: 'tanh', head: 'sigmoid', seed: 3 });

/**
 * openSynchronousSession uses a part of onnxruntime-node that is not public. This test fails when a release changes it; then
 * see node_modules/onnxruntime-node/dist/backend.js for how the public session calls the native one.
 */
it("gives the answers of onnxruntime-node's public interface, synchronously", async () => {
  const rows = Float32Array.of(0.1, 1, -2, 3, 0, 0.5);
  using session = openSynchronousSession(ONNX, 1);
  const open = await ort.InferenceSession.create(ONNX);
  const [input = '', output = ''] = [open.inputNames[0], open.outputNames[0]];
  const direct = session.run({ [input]: tensorOf('float32', rows, [2, 3]) }, [output]);
  const named = await open.run({ [input]: new ort.Tensor('float32', rows, [2, 3]) });
  expect(direct[output]?.data).toEqual(named[output]?.data);
  expect(direct[output]?.dims).toEqual([2, 1]);
  await open.release();
});

it('refuses invalid models and feeds without ending the process', () => {
  expect(() => openSynchronousSession(Uint8Array.of(1, 2, 3), 1)).toThrow(/does not take/);
  using session = openSynchronousSession(ONNX, 1);
  expect(() => session.run({ input: tensorOf('float32', new Float32Array(2), [1, 2]) }, ['value'])).toThrow();
});
