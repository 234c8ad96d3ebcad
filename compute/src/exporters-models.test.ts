import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tensorManifest } from './testing/echo-models.ts';
import { modelOf, storeVersion } from './testing/model-bundles.ts';
import { startTestCompute, type TestCompute } from './testing/start-test-compute.ts';

const CASES = [
  'empty-past',
  'ml-only-import',
  'overridable',
  'rows-that-meet',
  'skl-double-import',
  'text-to-number',
];

let test: TestCompute;
beforeAll(async () => {
  test = await startTestCompute({ httpListen: '127.0.0.1:0' });
  for (const name of CASES) {
    const onnx = await readFile(join(import.meta.dirname, 'testing', 'cases', `${name}.onnx`));
    test.registry.set(modelOf([await storeVersion(test.store, 1, tensorManifest(name), onnx)], { live: 1 }));
  }
  test.registry.publish();
  await Promise.all(CASES.map((name) => test.until(name, 1, 'ready')));
});
afterAll(() => test[Symbol.asyncDispose]());

interface Input {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: readonly unknown[];
}

interface Answer {
  readonly outputs?: readonly { readonly name: string; readonly shape: number[]; readonly data: unknown[] }[];
  readonly error?: string;
}

async function ask(model: string, ...inputs: readonly Input[]): Promise<Answer> {
  const response = await fetch(`http://${test.compute.httpAddress}/v2/models/${model}/infer`, {
    method: 'POST',
    body: JSON.stringify({ inputs }),
  });
  return (await response.json()) as Answer;
}

const fp32 = (name: string, shape: readonly number[], data: readonly number[]): Input => ({
  name,
  datatype: 'FP32',
  shape,
  data,
});

describe('models as exporters write them', () => {
  it('may import the standard operator set twice, as skl2onnx writes it', async () => {
    const { outputs } = await ask(
      'skl-double-import',
      fp32('float_input', [2, 4], [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
    );
    expect(outputs?.[0]?.data).toEqual([0, 1]);
    const probabilities = outputs?.[1]?.data as number[];
    for (const [index, wanted] of [0.6, 0.4, 0, 0, 1, 0].entries())
      expect(probabilities[index]).toBeCloseTo(wanted, 5);
  });

  it('may import no standard operator set at all', async () => {
    const { outputs } = await ask('ml-only-import', fp32('x', [2, 2], [0, 0.1, 0.2, 0.3]));
    const values = outputs?.[0]?.data as number[];
    for (const [index, wanted] of [-2, -1.8, -1.6, -1.4].entries())
      expect(values[index]).toBeCloseTo(wanted, 5);
  });

  it('may start with a cache of length 0', async () => {
    const ones = Array.from({ length: 8 }, () => 1);
    const answer = await ask('empty-past', fp32('past', [1, 2, 0, 4], []), fp32('now', [1, 2, 1, 4], ones));
    expect(answer.outputs?.[0]).toMatchObject({ shape: [1, 2, 1, 4], data: ones });
  });

  it('are not sent a text that the runtime would truncate: the request fails with an error that names it', async () => {
    for (const text of ['a\0zzz', '\0', 'a\0']) {
      const answer = await ask('text-to-number', {
        name: 'x',
        datatype: 'BYTES',
        shape: [1, 1],
        data: [text],
      });
      expect(answer.error).toContain('U+0000');
    }
    const whole = await ask('text-to-number', {
      name: 'x',
      datatype: 'BYTES',
      shape: [2, 1],
      data: ['a', ''],
    });
    expect(whole.outputs?.[0]?.data).toEqual([30, 10]);
  });

  it('use the default of an input that is left out, and the value of a request that sends it', async () => {
    const x = fp32('x', [1, 2], [1, 2]);
    const answers = await Promise.all([
      ask('overridable', x),
      ask('overridable', x, fp32('scale', [1], [10])),
      ask('overridable', fp32('scale', [1], [-1]), x),
      ask('overridable', x),
    ]);
    expect(answers.map(({ outputs }) => outputs?.[0]?.data)).toEqual([
      [3, 6],
      [10, 20],
      [-1, -2],
      [3, 6],
    ]);
    expect((await ask('overridable', x, fp32('scale', [2], [1, 1]))).error).toContain("'scale'");
    const url = `http://${test.compute.httpAddress}/v2/models/overridable`;
    const metadata = (await (await fetch(url)).json()) as { inputs: { name: string }[] };
    expect(metadata.inputs.map(({ name }) => name)).toEqual(['x', 'scale']);
    const config = (await (await fetch(`${url}/config`)).json()) as { input: object[] };
    expect(config.input[1]).toMatchObject({ name: 'scale', dims: [1], optional: true });
  });

  it('answer each request as if it ran alone, whatever others send at the same time', async () => {
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        ask('rows-that-meet', fp32('x', [1, 2], index % 2 === 0 ? [2, 1] : [0, 150])),
      ),
    );
    for (const [index, { outputs }] of answers.entries())
      if (index % 2 === 0) expect(outputs?.[0]?.data).toEqual([2, 1]);
    expect(test.compute.fleet.find('rows-that-meet', 1)?.serving?.batcher.shareable).toBe(false);
  });
});
