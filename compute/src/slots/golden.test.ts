import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { GraphBuilder } from '@hotloop/model/onnx/graph-builder.ts';
import { encodeModel } from '@hotloop/model/onnx/model.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { describe, expect, it } from 'vitest';
import { Confinements } from '../runner/confinement.ts';
import { startRunner } from '../runner/runner.ts';
import { echoModel, tensorManifest } from '../testing/echo-models.ts';
import { floatsOf, itemMaker } from '../testing/infer-items.ts';
import { featureManifest, modelOf, SMALL, storeVersion } from '../testing/model-bundles.ts';
import { startTestCompute, type TestCompute } from '../testing/start-test-compute.ts';
import { boundRuns } from './bounded-runs.ts';
import { checkGolden } from './check-golden.ts';

const ROW = [1, 2, 3, 4];

/**
 * Serves version 1, then sets version 2 with golden examples as target. Resolves when version 2 is in the given
 * state.
 */
async function wishFor(test: TestCompute, golden: string, state: string, onnx = perceptron(SMALL)) {
  const good = await storeVersion(test.store, 1, featureManifest('tiny', 4));
  const next = await storeVersion(test.store, 2, featureManifest('tiny', 4, golden), onnx);
  test.registry.set(modelOf([good, next], { live: 1 }));
  test.registry.publish();
  await test.until('tiny', 1, 'ready');
  test.registry.set(modelOf([good, next], { live: 1, target: 2 }));
  test.registry.publish();
  await test.until('tiny', 2, state);
  return { good, next };
}

function goldenYaml(outputs: string, rest = ''): string {
  return `golden:\n  examples: [{inputs: {input: [[${ROW}]]}, outputs: {score: ${outputs}}}]\n${rest}`;
}

/** Loads a tensor model with golden examples. Resolves with the error detail, '' when it became ready. */
async function load(
  test: TestCompute,
  onnx: Uint8Array,
  examples: string,
  name: string,
  tolerance = '',
): Promise<string> {
  const record = await storeVersion(
    test.store,
    1,
    tensorManifest(name, `golden: {${tolerance}examples: [${examples}]}\n`),
    onnx,
  );
  test.registry.set(modelOf([record], { live: 1 }));
  test.registry.publish();
  const slot = () => test.compute.fleet.find(name, 1);
  await expect.poll(() => slot()?.state).toMatch(/ready|failed/);
  return slot()?.detail ?? 'gone';
}

async function scoreOf(test: TestCompute, version: number): Promise<number> {
  const { outputs } = await test.compute.port.infer(itemMaker()('tiny', version, [ROW]));
  return floatsOf(outputs[0]!.contents)[0]!;
}

describe('golden examples at the warm-up', () => {
  it('accept a version that returns the expected values, and do not count as predictions', async () => {
    await using test = await startTestCompute();
    const onnx = perceptron({ ...SMALL, seed: 1 });
    await wishFor(test, '', 'ready', onnx);
    const score = await scoreOf(test, 2);
    await using again = await startTestCompute();
    await wishFor(again, goldenYaml(`[[${score + 5e-6}]]`), 'ready', onnx);
    expect(await scoreOf(again, 2)).toBe(score);
    await again.compute.flushLog(10_000);
    const { rows } = await again.pool.query('SELECT version FROM prediction');
    expect(rows).toEqual([{ version: 2 }]);
    expect(again.compute.fleet.find('tiny', 2)?.statistics.runCount).toBe(1);
  });

  it('reject a version that returns other values, naming the value, and leave everything as it was', async () => {
    await using test = await startTestCompute();
    const { good, next } = await wishFor(test, goldenYaml('[[2.5]]'), 'failed');
    const slot = test.compute.fleet.find('tiny', 2);
    const gave = await scoreOf(test, 1);
    expect(slot?.reason).toBe('golden_mismatch');
    expect(slot?.detail).toBe(
      `golden.examples.0: output 'score' gave ${Number(gave.toPrecision(9))} in row 0, ` +
        'expected 2.5 within absolute 0.000025 + relative 0.001 (1 of 1 values differ)',
    );
    expect(slot?.runnerPids).toEqual([]);
    expect(test.report.latest.find((report) => report.version === 2)).toMatchObject({
      state: 'failed',
      reason: 'golden_mismatch',
      detail: slot?.detail,
    });
    await expect(scoreOf(test, 2)).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'version_failed' });
    expect(test.compute.fleet.find('tiny', 1)?.state).toBe('ready');
    // When the target is withdrawn, it goes, and the live version was never touched.
    test.registry.set(modelOf([good, next], { live: 1 }));
    test.registry.publish();
    await test.until('tiny', 2, 'gone');
    expect(await scoreOf(test, 1)).toBe(gave);
  });

  it('use the tolerance that the version declares', async () => {
    await using test = await startTestCompute();
    await wishFor(test, goldenYaml('[[2.5]]', '  absolute: 3\n'), 'ready');
  });

  it('do not block a runner that replaces a lost one', async () => {
    await using test = await startTestCompute();
    const onnx = perceptron(SMALL);
    await wishFor(test, goldenYaml('[[2.5]]', '  absolute: 3\nruntime: {instances: 2}\n'), 'ready', onnx);
    const slot = test.compute.fleet.find('tiny', 2)!;
    const [first, second] = slot.runnerPids;
    process.kill(first!, 'SIGKILL');
    await expect.poll(() => slot.runnerPids.filter((pid) => pid !== first).length).toBe(2);
    expect(slot.runnerPids).toContain(second);
    expect(slot.state).toBe('ready');
  });

  it('compare every datatype: floating point within rounding, all others exactly', async () => {
    await using test = await startTestCompute();
    const tensors = [
      { name: 'half', elementType: 'float16', shape: ['N'] },
      { name: 'brain', elementType: 'bfloat16', shape: ['N'] },
      { name: 'double', elementType: 'float64', shape: ['N'] },
      { name: 'long', elementType: 'int64', shape: ['N'] },
      { name: 'text', elementType: 'string', shape: ['N', 1] },
      { name: 'flag', elementType: 'bool', shape: ['N'] },
      { name: 'pair', elementType: 'float32', shape: ['N', 2] },
    ] as const;
    const inputs =
      'half: [0.1, 3], brain: [0.1, 3], double: [0.1, 3], long: ["9007199254740993", -1], text: [["a"], ["ü"]], flag: [true, false], pair: [[1, 2], [3, 4]]';
    const right =
      'half_out: [0.1, 3], brain_out: [0.1, 3], double_out: [0.1, 3.001], long_out: ["9007199254740993", -1], text_out: [["a"], ["ü"]], flag_out: [true, false], pair_out: [[1, 2], [3, 4]]';
    const onnx = echoModel(tensors);
    expect(await load(test, onnx, `{inputs: {${inputs}}, outputs: {${right}}}`, 'right')).toBe('');
    const wrong: [string, RegExp][] = [
      ['half_out: [0.1, 3.1]', /'half_out' gave 3 in row 1, expected 3\.1 within/],
      ['brain_out: [0.1, 4]', /'brain_out' gave 3 in row 1, expected 4 within/],
      ['double_out: [0.1, 3.01]', /'double_out' gave 3 in row 1, expected 3\.01 within/],
      [
        'long_out: ["9007199254740992", -1]',
        /'long_out' gave 9007199254740993 in row 0, expected 9007199254740992 \(1 of 2 values differ\)/,
      ],
      ['text_out: [["a"], ["u"]]', /'text_out' gave 'ü' in row 1, expected 'u' \(1 of 2/],
      ['flag_out: [false, true]', /'flag_out' gave true in row 0, expected false \(2 of 2 values differ\)/],
      [
        'pair_out: [[1, 2], [3.5, 4.5]]',
        /'pair_out' gave 3 in row 1, value 0, expected 3\.5 within .* \(2 of 4/,
      ],
      ['half_out: [0.1]', /'half_out' has shape \[2\], expected \[1\]/],
    ];
    for (const [index, [outputs, message]] of wrong.entries()) {
      const examples = `{inputs: {${inputs}}, outputs: {${right}}}, {inputs: {${inputs}}, outputs: {${outputs}}}`;
      const refusal = await load(test, onnx, examples, `wrong-${index}`);
      expect(refusal).toMatch(message);
      expect(refusal).toMatch(/^golden\.examples\.1: /);
    }
  });

  it('require equal bits with a tolerance of 0; decimals are rounded as inputs are', async () => {
    await using test = await startTestCompute();
    const onnx = echoModel([{ name: 'x', elementType: 'float32', shape: ['N'] }]);
    const refusalOf = (name: string, expected: string) =>
      load(
        test,
        onnx,
        `{inputs: {x: [0.1]}, outputs: {x_out: [${expected}]}}`,
        name,
        'absolute: 0, relative: 0, ',
      );
    expect(await refusalOf('decimal', '0.1')).toBe('');
    expect(await refusalOf('digits', '0.100000001')).toBe('');
    expect(await refusalOf('neighbour', '0.10000001')).toMatch(
      /'x_out' gave 0\.100000001 in row 0, expected 0\.10000001 within absolute 0 \+ relative 0/,
    );
  });

  it('do not wait for a runner that hangs: it is killed', async () => {
    const options = {
      executionProviders: ['cpu'],
      threads: 1,
      loadTimeoutMs: 20_000,
      memoryLimitBytes: 2 ** 32,
      confinements: new Confinements(silentLog()),
    } as const;
    const runner = await startRunner(perceptron(SMALL), options, silentLog(), new AbortController().signal);
    const { golden } = parseManifest(featureManifest('tiny', 4, goldenYaml('[[0.5]]')));
    process.kill(runner.pid, 'SIGSTOP');
    const bounded = boundRuns(runner, { firstMs: 100, laterMs: 60_000 });
    await expect(checkGolden(bounded, { golden, ...options })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'runner_lost',
    });
    expect(await runner.gone).toBe('SIGKILL');
  });

  it('reject a version that cannot run them, or lacks a tensor that they name', async () => {
    await using test = await startTestCompute();
    const graph = new GraphBuilder();
    graph.input('a', 'float32', ['N']);
    graph.input('b', 'float32', ['M']);
    graph.node('Add', ['a', 'b'], {}, { name: 'sum', outputs: ['y'] });
    graph.output('y', 'float32', ['K']);
    const onnx = encodeModel(graph.build('sum'));
    const wrong: [string, RegExp, string][] = [
      [
        '{inputs: {a: [1, 2], b: [1, 2, 3]}, outputs: {y: [1]}}',
        /^golden\.examples\.0: the model cannot run it$/,
        'golden_mismatch',
      ],
      ['{inputs: {a: [1]}, outputs: {y: [1]}}', /needs the input 'b'/, 'invalid_tensor'],
      ['{inputs: {a: [1], b: [1]}, outputs: {z: [1]}}', /has no output 'z'/, 'invalid_tensor'],
    ];
    for (const [index, [example, message, reason]] of wrong.entries()) {
      expect(await load(test, onnx, example, `sum-${index}`)).toMatch(message);
      expect(test.compute.fleet.find(`sum-${index}`, 1)?.reason).toBe(reason);
    }
  });
});
