import type { ModelInferResponse__Output } from '@hotloop/proto/gen/inference/ModelInferResponse.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EchoTensor, echoModel, tensorManifest } from '../testing/echo-models.ts';
import { floatsOf } from '../testing/infer-items.ts';
import { modelOf, storeVersion } from '../testing/model-bundles.ts';
import { type OipClient, openOipClient } from '../testing/open-oip-client.ts';
import { startTestCompute, type TestCompute } from '../testing/start-test-compute.ts';

type Shape = EchoTensor['shape'];

/** Models that return their inputs q and d. */
const MODELS: Readonly<Record<string, readonly [q: Shape, d: Shape]>> = {
  aligned: [['N', 2], ['N']],
  apart: [['N', 2], ['M']],
  unnamed: [['', 2], ['']],
  fixed: [[1, 2], ['M']],
  square: [['N', 'K'], ['K']],
  numbered: [['unk__1', 2], ['unk__2']],
  listed: [['q_dynamic_axes_1', 2], ['d_dynamic_axes_1']],
  alike: [['?', '?'], ['?']],
};

let test: TestCompute;
let client: OipClient;
beforeAll(async () => {
  test = await startTestCompute();
  for (const [name, [q, d]] of Object.entries(MODELS)) {
    const onnx = echoModel([
      { name: 'q', elementType: 'float32', shape: q },
      { name: 'd', elementType: 'float32', shape: d },
    ]);
    test.registry.set(modelOf([await storeVersion(test.store, 1, tensorManifest(name), onnx)], { live: 1 }));
  }
  test.registry.publish();
  await Promise.all(Object.keys(MODELS).map((name) => test.until(name, 1, 'ready')));
  client = openOipClient(test.compute.address);
});
afterAll(async () => {
  client[Symbol.dispose]();
  await test[Symbol.asyncDispose]();
});

interface Given {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

const table = (rows: number, start: number): Given => ({
  shape: [rows, 2],
  values: Array.from({ length: rows * 2 }, (_, index) => start + index),
});
const list = (...values: number[]): Given => ({ shape: [values.length], values });

function ask(modelName: string, q: Given, d: Given): Promise<ModelInferResponse__Output> {
  const bytes = ({ values }: Given) => Buffer.from(Float32Array.from(values).buffer);
  return client.infer({
    modelName,
    inputs: [
      { name: 'q', datatype: 'FP32', shape: [...q.shape] },
      { name: 'd', datatype: 'FP32', shape: [...d.shape] },
    ],
    rawInputContents: [bytes(q), bytes(d)],
  });
}

/** Sends all requests at once; each must get back exactly what it sent. */
async function expectOwnAnswers(model: string, questions: readonly (readonly [Given, Given])[]) {
  const answers = await Promise.all(questions.map(([q, d]) => ask(model, q, d)));
  for (const [index, [q, d]] of questions.entries()) {
    const answer = answers[index];
    expect(answer?.outputs.map((output) => output.shape.map(Number))).toEqual([q.shape, d.shape]);
    expect(answer?.rawOutputContents.map(floatsOf)).toEqual([q.values, d.values]);
  }
}

/** Many requests at once, so that some of them wait together. */
async function expectOwnAnswersOfMany(model: string, sizes: readonly (readonly [number, number])[]) {
  const questions = Array.from({ length: 60 }, (_, index) => {
    const [rows = 1, length = 1] = sizes[index % sizes.length] ?? [];
    return [
      table(rows, index * 100),
      list(...table(length, index * 100 + 50).values.slice(0, length)),
    ] as const;
  });
  await expectOwnAnswers(model, questions);
}

/** Runs and answered requests so far. */
function counts(model: string): { runs: number; answers: number } {
  const statistics = test.compute.fleet.find(model, 1)?.statistics;
  return { runs: statistics?.runCount ?? 0, answers: statistics?.success.count ?? 0 };
}

describe('requests that share a run', () => {
  it('get only their own rows, also when the inputs of a model have different numbers of rows', async () => {
    await expectOwnAnswers('apart', [
      [table(1, 1), list(11, 12, 13)],
      [table(3, 20), list(99)],
    ]);
    await expectOwnAnswersOfMany('apart', [
      [1, 3],
      [3, 1],
      [2, 2],
    ]);
    await expectOwnAnswersOfMany('apart', [[2, 2]]);
    const { runs, answers } = counts('apart');
    expect(runs).toBe(answers);
  });

  it('run alone where unnamed dimensions let the rows of their inputs differ', async () => {
    await expectOwnAnswersOfMany('unnamed', [
      [1, 3],
      [3, 1],
      [2, 2],
    ]);
  });

  it('run alone where a first dimension is fixed', async () => {
    await expectOwnAnswersOfMany('fixed', [
      [1, 3],
      [1, 1],
    ]);
    const { runs, answers } = counts('fixed');
    expect(runs).toBe(answers);
  });

  it.each(['aligned', 'numbered', 'listed', 'alike'])(
    'do share it where all tensors have the same rows: %s',
    async (model) => {
      await expectOwnAnswersOfMany(model, [
        [1, 1],
        [3, 3],
      ]);
      const { runs, answers } = counts(model);
      expect(runs).toBeLessThan(answers);
    },
  );

  it.each(['numbered', 'listed', 'alike'])(
    'run alone where their rows differ under names that say nothing: %s',
    (model) =>
      expectOwnAnswersOfMany(model, [
        [1, 3],
        [3, 1],
        [2, 2],
      ]),
  );

  it.each([
    ['aligned', table(1, 0), list(1, 2, 3), /dimension 'N'.*1 in input 'q'.*3 in input 'd'/],
    ['square', table(3, 0), list(1, 2, 3), /dimension 'K'.*2 in input 'q'.*3 in input 'd'/],
  ])('are refused by %s where one named dimension has two sizes', async (model, q, d, expected) => {
    await expect(ask(model, q, d)).rejects.toThrow(/^INVALID_ARGUMENT/);
    await expect(ask(model, q, d)).rejects.toThrow(expected);
  });
});
