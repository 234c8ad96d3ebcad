import fc from 'fast-check';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { columnsOf } from '../manifest/columns.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { inspectModel } from '../onnx/inspect.ts';
import { perceptron } from '../onnx/perceptron.ts';
import { expectEqual, runFused, runParts } from '../testing/fused-parts.ts';
import { manifestOf } from '../testing/manifests.ts';
import { fuseModel } from './fuse-model.ts';
import { type FusedRow, fusedFeeds } from './fused-feeds.ts';

const SHOP: Parameters<typeof manifestOf>[0] = {
  name: 'shop',
  features: [
    { name: 'pages', from: 'request.pages', transform: ['log1p', { standardize: { mean: 1.5, std: 0.8 } }] },
    {
      name: 'seconds',
      from: 'request.seconds',
      missing: 12,
      range: [-5, 1000],
      transform: [{ scale: { min: 0, max: 60 } }],
    },
    { name: 'price', from: 'request.price', missing: 0, transform: ['abs', { clip: [0, 50] }] },
    { name: 'hour', from: 'request.hour', transform: [{ bucketize: [6, 12, 18] }] },
    {
      name: 'part',
      from: 'request.hour',
      transform: [{ bucketize: [6, 12, 18] }, { one_hot: [0, 1, 2, 3] }],
    },
    { name: 'visitor', from: 'request.visitor', transform: [{ one_hot: ['new', 'größe', '🛒'] }] },
    {
      name: 'device',
      from: 'request.device',
      missing: 'phone',
      transform: [{ one_hot: ['phone', 'desktop'] }],
    },
    { name: 'weekend', from: 'request.weekend', type: 'flag', transform: [{ one_hot: [true] }] },
    { name: 'known', from: 'request.known', type: 'flag', missing: false },
  ],
  decision: { threshold: 0.5, labels: ['leaves', 'buys'] },
};

const ORIGIN = { version: 3, bundleSha256: 'ab'.repeat(32) };

function networkOf(manifest: Manifest, outputs = 1): Uint8Array {
  const head = outputs > 1 ? 'softmax' : manifest.task === 'regression' ? 'none' : 'sigmoid';
  const inputs = columnsOf(manifest).width;
  return perceptron({ inputs, hidden: [8], outputs, activation: 'tanh', head, seed: 7 });
}

const shopRow: fc.Arbitrary<FusedRow> = fc.record({
  'request.pages': fc.oneof(
    fc.integer({ min: 0, max: 500 }),
    fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  ),
  'request.seconds': fc.option(fc.double({ min: -10, max: 1100, noNaN: true }), { nil: undefined }),
  'request.price': fc.option(fc.double({ min: -1e38, max: 1e38, noNaN: true }), { nil: undefined }),
  'request.hour': fc.integer({ min: 0, max: 23 }),
  'request.visitor': fc.constantFrom('new', 'größe', '🛒', '', 'other'),
  'request.device': fc.option(fc.constantFrom('phone', 'desktop', 'tv'), { nil: undefined }),
  'request.weekend': fc.boolean(),
  'request.known': fc.option(fc.boolean(), { nil: undefined }),
});

describe('a fused file', () => {
  it('answers as the plan, the network and the decision do, including rejected rows', async () => {
    const manifest = manifestOf(SHOP);
    const onnx = networkOf(manifest);
    const fused = fuseModel(manifest, onnx, ORIGIN);
    const rows = fc.sample(shopRow, { numRuns: 400, seed: 15 });
    const answers = await runFused(fused.onnx, fusedFeeds(fused.inputs, rows));
    expectEqual(answers, await runParts(manifest, onnx, rows));
    expect(new Set(answers.map(({ accepted }) => accepted)).size).toBe(2);
    expect(fused.runtimeOperators).toEqual([]);
    expect(() => inspectModel(fused.onnx, { domains: ['ai.onnx.ml'] })).not.toThrow();
  });

  it('gives the same answers when each distinct text is passed once, and lists the texts it distinguishes', async () => {
    const manifest = manifestOf(SHOP);
    const onnx = networkOf(manifest);
    const fused = fuseModel(manifest, onnx, ORIGIN, { distinctTexts: true });
    const rows = fc.sample(shopRow, { numRuns: 200, seed: 17 });
    const answers = await runFused(fused.onnx, fusedFeeds(fused.inputs, rows), true);
    expectEqual(answers, await runParts(manifest, onnx, rows));
    expect(fused.inputs.find(({ name }) => name === 'request.visitor')?.categories).toEqual([
      'new',
      'größe',
      '🛒',
    ]);
  });

  it('returns the best class and the scores of all', async () => {
    const manifest = manifestOf({ ...SHOP, task: 'multiclass', decision: { labels: ['a', 'b', 'c'] } });
    const onnx = networkOf(manifest, 3);
    const fused = fuseModel(manifest, onnx, ORIGIN);
    expect(fused.outputs).toContain('scores');
    const rows = fc.sample(shopRow, { numRuns: 100, seed: 16 });
    expectEqual(
      await runFused(fused.onnx, fusedFeeds(fused.inputs, rows)),
      await runParts(manifest, onnx, rows),
    );
  });

  it('has an input for history that says why, with its missing value and transforms in the graph', async () => {
    const manifest = manifestOf({
      task: 'regression',
      features: [
        {
          name: 'last',
          from: 'history.user.view.last(2).price',
          missing: 3,
          transform: [{ bucketize: [1, 5] }],
        },
        {
          name: 'kinds',
          from: 'history.user.view.last(2).kind',
          missing: '?',
          transform: [{ one_hot: ['a', 'b'] }],
        },
      ],
    });
    const fused = fuseModel(manifest, networkOf(manifest), ORIGIN);
    expect(fused.inputs).toMatchObject([
      {
        name: 'history.user.view.last(2).price',
        width: 2,
        absent: 'NaN',
        why: expect.stringContaining('history'),
      },
      { name: 'history.user.view.last(2).kind', width: 2, type: 'string' },
    ]);
    const rows = [
      { 'history.user.view.last(2).price': [9, Number.NaN], 'history.user.view.last(2).kind': ['b'] },
    ];
    const [answer] = await runFused(fused.onnx, fusedFeeds(fused.inputs, rows));
    const session = await ort.InferenceSession.create(networkOf(manifest));
    const matrix = new ort.Tensor('float32', Float32Array.of(2, 1, 0, 1, 0, 0), [1, 6]);
    const { value } = await session.run({ input: matrix });
    expect(answer!.score).toBeCloseTo(Number(value!.data[0]), 6);
  });

  it('names the runtime-specific operators that it needs', () => {
    const manifest = manifestOf({
      features: [
        { name: 'city', from: 'request.city', transform: [{ hash: { buckets: 100, function: 'murmur3' } }] },
      ],
    });
    expect(fuseModel(manifest, networkOf(manifest), ORIGIN).runtimeOperators).toEqual(['MurmurHash3']);
  });

  it('accepts computed columns if a transform has no operators', () => {
    const manifest = manifestOf({
      features: [
        {
          name: 'zip',
          from: 'request.zip',
          type: 'number',
          transform: [{ hash: { buckets: 100, function: 'murmur3' } }],
        },
      ],
    });
    expect(fuseModel(manifest, networkOf(manifest), ORIGIN).inputs).toEqual([
      { name: 'feature.zip', type: 'float32', width: 1, why: expect.stringContaining('hash') },
    ]);
  });
});
