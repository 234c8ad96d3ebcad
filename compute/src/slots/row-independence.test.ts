import { GraphBuilder, int, ints } from '@hotloop/model/onnx/graph-builder.ts';
import { decodeModel, encodeModel } from '@hotloop/model/onnx/model.ts';
import { rowsAreIndependent } from '@hotloop/model/onnx/rows/rows-are-independent.ts';
import { type ElementType, elementTypeCode, float32Tensor, int64Tensor } from '@hotloop/model/onnx/tensor.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { echoModel, tensorManifest } from '../testing/echo-models.ts';
import { modelOf, storeVersion } from '../testing/model-bundles.ts';
import { openOipClient } from '../testing/open-oip-client.ts';
import { startTestCompute, type TestCompute } from '../testing/start-test-compute.ts';

const TYPES: readonly ElementType[] = [
  'bool',
  'int8',
  'int16',
  'int32',
  'int64',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'float16',
  'bfloat16',
  'float32',
  'float64',
  'string',
];
/** Text outputs cannot be split. */
const PARTED = TYPES.filter((type) => type !== 'string');

let test: TestCompute;
let made = 0;
beforeAll(async () => {
  test = await startTestCompute();
});
afterAll(() => test[Symbol.asyncDispose]());

/** Loads a model under its own name. Resolves with whether requests may share its runs. */
async function isShareable(
  onnx: Uint8Array,
  name = `model-${made++}`,
  yaml = '',
): Promise<boolean | undefined> {
  const record = await storeVersion(test.store, 1, tensorManifest(name, yaml), onnx);
  test.registry.set(modelOf([record], { live: 1 }));
  test.registry.publish();
  await test.until(name, 1, 'ready');
  return test.compute.fleet.find(name, 1)?.serving?.batcher.shareable;
}

describe('whether requests may share a run', () => {
  it.each(PARTED)('%s: yes where rows stay apart', async (type) => {
    expect(await isShareable(echoModel([{ name: 'x', elementType: type, shape: ['N', 2] }]))).toBe(true);
  });

  it.each(TYPES)('%s as an input: no where the other rows count', async (type) => {
    expect(await isShareable(rectified(type, 'float32'))).toBe(true);
    expect(rowsAreIndependent(decodeModel(distanceFromMean(type, 'float32')))).toBe(false);
  });

  it.each(PARTED)('%s as an output: no where the other rows count', async (type) => {
    expect(await isShareable(rectified('float32', type))).toBe(true);
    expect(rowsAreIndependent(decodeModel(distanceFromMean('float32', type)))).toBe(false);
  });

  it('no, where the graph shows that the other rows count', async () => {
    expect(await isShareable(distanceFromMean('float32', 'float32'))).toBe(false);
  });

  it('no, where an answer is text, which cannot be parted', async () => {
    expect(await isShareable(echoModel([{ name: 'x', elementType: 'string', shape: ['N', 2] }]))).toBe(false);
  });

  it('no, where all rows come out alike, for then nothing is known', async () => {
    expect(await isShareable(constant())).toBe(false);
  });

  it('no, where an answer is infinite alone and finite beside others, however wide the tolerance', async () => {
    expect(await isShareable(infiniteAlone())).toBe(false);
  });

  it('no, where a model refuses made-up rows, until real ones show it; the version is served either way', async () => {
    // The model rejects ids below five.
    const onnx = lateIds();
    expect(await isShareable(onnx, 'late')).toBe(false);
    for (const id of [5n, 6n]) test.compute.fleet.recent.offer('late', [idInput(id)]);
    expect(await isShareable(onnx, 'late-again')).toBe(false);
    for (const id of [5n, 6n]) test.compute.fleet.recent.offer('late-now', [idInput(id)]);
    expect(await isShareable(onnx, 'late-now')).toBe(true);
  });

  it('yes as soon as real answered rows have shown it', async () => {
    const { fleet } = test.compute;
    expect(await isShareable(lateIds(), 'learning')).toBe(false);
    const { serving, statistics } = fleet.find('learning', 1) ?? {};
    // One row, or one row twice, proves nothing, and costs no run.
    for (const id of [5n, 5n]) fleet.recent.offer('learning', [idInput(id)]);
    await fleet.tend();
    expect(serving?.batcher.shareable).toBe(false);
    expect(statistics?.runCount).toBe(0);
    fleet.recent.offer('learning', [idInput(6n)]);
    await fleet.tend();
    expect(serving?.batcher.shareable).toBe(true);
    expect(statistics?.runCount).toBe(3);
  });

  it('no, where the graph looks across rows, whatever its rows show; then nothing is asked', async () => {
    const { fleet } = test.compute;
    expect(await isShareable(lateIds('mean'), 'mingling')).toBe(false);
    const { serving, statistics } = fleet.find('mingling', 1) ?? {};
    for (const id of [5n, 6n]) fleet.recent.offer('mingling', [idInput(id)]);
    await fleet.tend();
    await fleet.tend();
    expect(serving?.batcher.shareable).toBe(false);
    expect(statistics?.runCount).toBe(0);
  });

  it('yes, where golden examples show it, although the model rejects made-up rows', async () => {
    const examples =
      '[{inputs: {id: [5]}, outputs: {value: [50]}}, {inputs: {id: [6]}, outputs: {value: [60]}}]';
    expect(await isShareable(lateIds(), 'late-known', `golden: {examples: ${examples}}\n`)).toBe(true);
  });

  it('no, where only large values would show that rows affect each other', async () => {
    expect(await isShareable(largeIdsMingle(), 'large')).toBe(false);
  });

  it('so that concurrent callers get the same answers as alone', async () => {
    await isShareable(distanceFromMean('float64', 'float64'), 'distance');
    using client = openOipClient(test.compute.address);
    const answers = await Promise.all(
      Array.from({ length: 32 }, async (_, caller) => {
        const reply = await client.infer({
          modelName: 'distance',
          inputs: [{ name: 'x', datatype: 'FP64', shape: [1, 2] }],
          rawInputContents: [Buffer.from(Float64Array.of(caller, -caller).buffer)],
        });
        return Buffer.from(reply.rawOutputContents[0] ?? []).readDoubleLE();
      }),
    );
    expect(answers).toEqual(answers.map(() => 0));
  });
});

function idInput(id: bigint) {
  return {
    datatype: 'INT64' as const,
    shape: [1],
    contents: new Uint8Array(BigInt64Array.of(id).buffer),
  };
}

/** Difference of each value from the mean of its column over all rows; 0 for a row that runs alone. */
function distanceFromMean(from: ElementType, to: ElementType): Uint8Array {
  return casted(from, to, (graph, x) => {
    const mean = graph.node('ReduceMean', [x], { axes: ints([0]), keepdims: int(1) });
    return graph.node('Sub', [x, mean]);
  });
}

/** Each value by itself; 0 for negative values. */
function rectified(from: ElementType, to: ElementType): Uint8Array {
  return casted(from, to, (graph, x) => graph.node('Relu', [x]));
}

function casted(
  from: ElementType,
  to: ElementType,
  compute: (graph: GraphBuilder, x: string) => string,
): Uint8Array {
  const graph = new GraphBuilder();
  graph.input('x', from, ['N', 2]);
  const x = graph.node('Cast', ['x'], { to: int(elementTypeCode('float32')) });
  const answer = compute(graph, x);
  graph.node('Cast', [answer], { to: int(elementTypeCode(to)) }, { name: 'cast', outputs: ['y'] });
  graph.output('y', to, ['N', 2]);
  return encodeModel(graph.build('casted'));
}

/** Returns the numbers, and the numbers divided by how many others there are. */
function infiniteAlone(): Uint8Array {
  const graph = new GraphBuilder();
  graph.input('x', 'float32', ['N']);
  const rows = graph.node('Cast', [graph.node('Shape', ['x'])], { to: int(elementTypeCode('float32')) });
  const others = graph.node('Sub', [rows, graph.initializer('one', float32Tensor([1]))]);
  graph.node('Identity', ['x'], {}, { name: 'same', outputs: ['y'] });
  graph.node('Div', ['x', others], {}, { name: 'divide', outputs: ['z'] });
  graph.output('y', 'float32', ['N']);
  graph.output('z', 'float32', ['N']);
  return encodeModel(graph.build('infinite'));
}

function constant(): Uint8Array {
  const graph = new GraphBuilder();
  graph.input('x', 'float32', ['N', 2]);
  const zero = graph.initializer('zero', float32Tensor([0]));
  graph.node('Mul', ['x', zero], {}, { name: 'mul', outputs: ['y'] });
  graph.output('y', 'float32', ['N', 2]);
  return encodeModel(graph.build('constant'));
}

/**
 * Looks up the ids 5 and 6; a smaller id is out of the table. For several ids it returns each one's value, or the
 * mean for all.
 */
function lateIds(gives: 'each' | 'mean' = 'each'): Uint8Array {
  const graph = new GraphBuilder();
  const values = graph.initializer('values', float32Tensor([50, 60]));
  const first = graph.initializer('first', int64Tensor([5]));
  graph.input('id', 'int64', ['N']);
  const place = graph.node('Sub', ['id', first]);
  const found = graph.node('Gather', [values, place], { axis: int(0) });
  const mean = graph.node('ReduceMean', [found], { keepdims: int(1) });
  const zeros = graph.node('Sub', [found, found]);
  const given = gives === 'each' ? found : graph.node('Add', [zeros, mean]);
  graph.node('Identity', [given], {}, { name: 'give', outputs: ['value'] });
  graph.output('value', 'float32', ['N']);
  return encodeModel(graph.build('late'));
}

/** Returns the ids, each plus the sum of the whole hundreds of all of them. */
function largeIdsMingle(): Uint8Array {
  const graph = new GraphBuilder();
  const hundred = graph.initializer('hundred', int64Tensor([100]));
  graph.input('id', 'int64', ['N']);
  const hundreds = graph.node('Div', ['id', hundred]);
  const total = graph.node('ReduceSum', [hundreds], { keepdims: int(1) });
  graph.node('Add', ['id', total], {}, { name: 'add', outputs: ['value'] });
  graph.output('value', 'int64', ['N']);
  return encodeModel(graph.build('mingle'));
}
