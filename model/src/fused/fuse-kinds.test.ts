import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { columnsOf } from '../manifest/columns.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { GraphBuilder, int, ints } from '../onnx/graph-builder.ts';
import { encodeModel } from '../onnx/model.ts';
import { perceptron } from '../onnx/perceptron.ts';
import { elementTypeCode, float32Tensor, int64Tensor } from '../onnx/tensor.ts';
import { expectEqual, runFused, runParts } from '../testing/fused-parts.ts';
import { manifestOf } from '../testing/manifests.ts';
import { fuseModel } from './fuse-model.ts';
import { type FusedRow, fusedFeeds } from './fused-feeds.ts';

const ORIGIN = { version: 1, bundleSha256: 'ab'.repeat(32) };

function networkOf(manifest: Manifest, outputs = 1, head: 'sigmoid' | 'none' = 'sigmoid'): Uint8Array {
  const inputs = columnsOf(manifest).width;
  return perceptron({ inputs, hidden: [8], outputs, activation: 'tanh', head, seed: 7 });
}

const text = fc.option(fc.constantFrom('a', 'b', 'long text with more than twelve bytes', ''), {
  nil: undefined,
});
const number = fc.option(
  fc.oneof(fc.integer({ min: -3, max: 12 }), fc.double({ min: -5, max: 5, noNaN: true })),
  {
    nil: undefined,
  },
);
const anyRow: fc.Arbitrary<FusedRow> = fc.record({
  'request.x': number,
  'request.y': number,
  'request.kind': text,
  'request.place': text,
  'request.flag': fc.option(fc.boolean(), { nil: undefined }),
});

/**
 * Runs the same rows through the fused file and through plan, network and decision. @returns the shares of accepted
 * rows.
 */
async function compare(
  manifest: Manifest,
  onnx: Uint8Array,
  seed: number,
  drawn: fc.Arbitrary<FusedRow> = anyRow,
): Promise<number> {
  const fused = fuseModel(manifest, onnx, ORIGIN);
  const rows = fc.sample(drawn, { numRuns: 150, seed });
  const answers = await runFused(fused.onnx, fusedFeeds(fused.inputs, rows));
  expectEqual(answers, await runParts(manifest, onnx, rows));
  const columnar = fuseModel(manifest, onnx, ORIGIN, { distinctTexts: true });
  expectEqual(await runFused(columnar.onnx, fusedFeeds(columnar.inputs, rows), true), answers);
  return answers.filter(({ accepted }) => accepted).length / answers.length;
}

describe('a fused file handles in the same way as the plan', () => {
  for (const [index, outside] of (['reject', 'clip', 'default', 'keep'] as const).entries())
    it(`values outside range and allowed with quality.outside: ${outside}`, async () => {
      const manifest = manifestOf({
        features: [
          {
            name: 'x',
            from: 'request.x',
            missing: 1,
            range: [-1, 8],
            allowed: [-2, 0, 1, 2, 3, 4, 5, 10],
            quality: { outside },
          },
          ...(outside === 'clip'
            ? []
            : [
                {
                  name: 'kind',
                  from: 'request.kind',
                  missing: 'a',
                  allowed: ['a', 'b'],
                  quality: { outside },
                  transform: [{ one_hot: ['a', 'b', ''] }],
                },
                {
                  name: 'flag',
                  from: 'request.flag',
                  type: 'flag' as const,
                  missing: true,
                  allowed: [true],
                  quality: { outside },
                },
              ]),
        ],
      });
      expect(await compare(manifest, networkOf(manifest), 30 + index)).toBeGreaterThan(0.05);
    });

  it('crosses and ratios of other features, hidden ones, NaN as a missing value, and indices in lists', async () => {
    const manifest = manifestOf({
      features: [
        { name: 'kind', from: 'request.kind', missing: 'b', hidden: true, transform: [{ one_hot: ['a'] }] },
        { name: 'flag', from: 'request.flag', type: 'flag', missing: false, hidden: true },
        { name: 'x', from: 'request.x', missing: 2, range: [-4, 11] },
        { name: 'y', from: 'request.y', missing: 0, hidden: true },
        {
          name: 'both',
          from: 'cross(kind, flag)',
          transform: [{ one_hot: ['a|true', 'b|false', '|false'] }],
        },
        { name: 'same', from: 'cross(kind, kind)', transform: [{ id: { buckets: 50 } }], dtype: 'float32' },
        { name: 'rate', from: 'ratio(x, y)', missing: -1, transform: ['log1p'] },
        {
          name: 'nan',
          from: 'request.y',
          missing: Number.NaN,
          transform: [{ scale: { min: 0, max: 4 } }, 'abs'],
        },
        {
          name: 'place',
          from: 'request.place',
          missing: '',
          transform: [{ id: { values: ['b', 'a'] } }],
          dtype: 'float32',
        },
        {
          name: 'number',
          from: 'request.x',
          missing: 0,
          transform: [{ id: { values: [3, 1, 0.5] } }],
          dtype: 'float32',
        },
      ],
    });
    const fused = fuseModel(manifest, networkOf(manifest), ORIGIN);
    expect(fused.runtimeOperators).toEqual(['MurmurHash3']);
    expect(fused.inputs.filter(({ name }) => name.startsWith('feature.'))).toEqual([]);
    expect(await compare(manifest, networkOf(manifest), 40)).toBeGreaterThan(0.3);
  });

  it('hashed words of texts in any script', async () => {
    const text = (settings: object) => [
      { text: { buckets: 64, ngrams: [1, 2], norm: 'l2', lowercase: true, ...settings } },
    ];
    const idf = Array.from({ length: 64 }, (_, at) => 0.5 + at / 20);
    const features = [
      { name: 'x', from: 'request.x', missing: 1 },
      { name: 'plain', from: 'request.words', missing: 'Nothing Said', transform: text({}) },
      {
        name: 'cased',
        from: 'request.words',
        missing: '',
        transform: text({ lowercase: false, binary: true, norm: 'l1', ngrams: [2, 3] }),
      },
      {
        name: 'weighed',
        from: 'request.words',
        missing: '',
        transform: text({ alternate_sign: false, sublinear: true, idf, norm: 'none', ngrams: [1, 1] }),
      },
    ] as Parameters<typeof manifestOf>[0]['features'];
    const manifest = manifestOf({ features });
    const fused = fuseModel(manifest, networkOf(manifest), ORIGIN);
    expect(fused.inputs.map(({ name, why }) => [name, why])).toEqual([
      ['request.x', undefined],
      ['request.words', undefined],
    ]);
    expect(new Set(fused.runtimeOperators)).toEqual(new Set(['Tokenizer', 'MurmurHash3']));
    // Letters with a rule of their own: the final sigma and what it looks past, a capital whose lower case is two characters.
    const special = [..."ΣΣσςΑαİIßẞʰⒶ𐐀日9_-. \u0307\u0345\u00ad'’"];
    const words = fc.oneof(
      fc.array(fc.constantFrom(...special), { maxLength: 12 }).map((letters) => letters.join('')),
      fc
        .array(fc.integer({ min: 27, max: 0x3ffff }), { maxLength: 12 })
        .map((points) => String.fromCodePoint(...points).toWellFormed()),
      fc.constantFrom('My CARD was stolen, my card!', 'Überweisung of 12 euros 🙂', '', 'a b c'),
    );
    const rows = fc.record({
      'request.x': number,
      'request.words': fc.option(words, { nil: undefined }),
    });
    expect(await compare(manifest, networkOf(manifest), 65, rows)).toBe(1);
  });

  it('hours, weekdays and months in UTC, from texts and milliseconds, and invalid times', async () => {
    const time = (part: 'hour' | 'weekday' | 'month', as: 'number' | 'cyclic' = 'number') => ({
      time: { part, as, zone: 'Etc/UTC' },
    });
    const manifest = manifestOf({
      features: [
        { name: 'hour', from: 'request.at', missing: '2026-01-15T12:00:00Z', transform: [time('hour')] },
        {
          name: 'month',
          from: 'request.at',
          missing: '2026-01-15T12:00:00Z',
          transform: [time('month'), { one_hot: [1, 2, 3, 12] }],
        },
        {
          name: 'day',
          from: 'request.ms',
          type: 'number',
          missing: 0,
          transform: [time('weekday', 'cyclic')],
        },
        { name: 'season', from: 'request.ms', type: 'number', missing: 0, transform: [time('month')] },
      ],
    });
    const fused = fuseModel(manifest, networkOf(manifest), ORIGIN);
    expect(fused.inputs.filter(({ why }) => why !== undefined)).toEqual([]);
    const zone = fc.constantFrom('Z', 'z', '+01:00', '-11:30', '+23:59', '', '+24:00');
    const moment = fc
      .tuple(fc.date({ noInvalidDate: true, min: new Date('0001-01-02'), max: new Date('9999-12-30') }), zone)
      .map(([date, offset]) => date.toISOString().replace('Z', offset));
    const rows = fc.record({
      'request.at': fc.oneof(
        { weight: 8, arbitrary: moment },
        fc.constantFrom(
          '2024-02-29T23:59:60Z',
          '2023-02-29T00:00:00Z',
          '2026-13-01T00:00:00Z',
          'today',
          undefined,
        ),
      ),
      'request.ms': fc.oneof(
        fc.integer({ min: -62_000_000_000_000, max: 8_640_000_000_000_000 }),
        fc.double({ min: -1e12, max: 2e12, noNaN: true }),
        fc.constantFrom(8.64e15, 8.64e15 + 2, undefined),
      ),
    });
    const share = await compare(manifest, networkOf(manifest), 66, rows);
    expect(share).toBeGreaterThan(0.4);
    expect(share).toBeLessThan(1);
    const local = manifestOf({
      features: [
        {
          name: 'hour',
          from: 'request.at',
          transform: [{ time: { part: 'hour', as: 'number', zone: 'Europe/Berlin' } }],
        },
      ],
    });
    expect(fuseModel(local, networkOf(local), ORIGIN).inputs).toMatchObject([
      { name: 'feature.hour', why: expect.stringContaining('only time in UTC') },
    ]);
  });

  for (const [index, combine] of [
    '0.5 * score + 0.1 * request.y - 1 / 2',
    'has(request.y) ? score * request.y : (request.kind == "a" || request.flag ? 2.0 : score)',
    'max(score, request.x in [1, 2, 3.5] ? 0.9 : 0.0) - min(abs(-request.x), 1.5) / request.y',
    'request.kind in ["a", "b"] && request.x > 0 ? log(request.x) : exp(-score)',
  ].entries())
    it(`decision.combine: ${combine}`, async () => {
      const manifest = manifestOf({
        features: [
          { name: 'x', from: 'request.x', missing: 1 },
          { name: 'flag', from: 'request.flag', type: 'flag', missing: false },
        ],
        decision: { combine, threshold: 0.4 },
      });
      expect(await compare(manifest, networkOf(manifest), 50 + index)).toBeGreaterThan(0.2);
    });

  it('several labels at once', async () => {
    const manifest = manifestOf({
      task: 'multilabel',
      features: [
        { name: 'x', from: 'request.x', missing: 1 },
        { name: 'y', from: 'request.y', missing: 0 },
      ],
      decision: { labels: ['red', 'green', 'blue'], threshold: 0.5 },
    });
    expect(await compare(manifest, networkOf(manifest, 3), 60)).toBe(1);
  });

  it('features that feed several inputs of their own types', async () => {
    const manifest = manifestOf({
      task: 'regression',
      features: [
        { name: 'x', from: 'request.x', missing: 1, input: 'numbers' },
        { name: 'y', from: 'request.y', missing: 1, input: 'numbers' },
        {
          name: 'kind',
          from: 'request.kind',
          missing: '',
          transform: [{ id: { values: ['a', 'b'] } }],
          input: 'ids',
        },
        { name: 'whole', from: 'request.x', missing: 0, dtype: 'int64', input: 'whole' },
      ],
    });
    const graph = new GraphBuilder();
    graph.input('ids', 'int64', ['N', 1]);
    graph.input('numbers', 'float32', ['N', 2]);
    graph.input('whole', 'int64', ['N', 1]);
    const table = graph.constant('table', float32Tensor(Float32Array.of(0.5, 2, -3), [3, 1]));
    const embedded = graph.node('Gather', [
      table,
      graph.node('Reshape', ['ids', graph.constant('flat', int64Tensor([-1], [1]))]),
    ]);
    const sum = graph.node('ReduceSum', ['numbers', graph.constant('axis', int64Tensor([1], [1]))], {
      keepdims: int(1),
    });
    const whole = graph.node('Cast', ['whole'], { to: int(elementTypeCode('float32')) });
    graph.node('Add', [graph.node('Add', [embedded, sum]), whole], {}, { outputs: ['out'] });
    graph.output('out', 'float32', ['N', 1]);
    const share = await compare(manifest, encodeModel(graph.build('two', { opset: 17 })), 70);
    expect(share).toBeGreaterThan(0.2);
    expect(share).toBeLessThan(1);
  });
});

describe('a network of an old operator set', () => {
  it('is rewritten with the same answers', async () => {
    const manifest = manifestOf({
      task: 'multiclass',
      features: [
        { name: 'x', from: 'request.x', missing: 1 },
        { name: 'y', from: 'request.y', missing: 0 },
      ],
      decision: { labels: ['a', 'b', 'c'] },
    });
    const graph = new GraphBuilder();
    graph.input('input', 'float32', ['N', 2]);
    const weights = graph.constant(
      'w',
      float32Tensor(
        Float32Array.from({ length: 12 }, (_, at) => at / 10 - 0.4),
        [2, 6],
      ),
    );
    const clipped = graph.node('Clip', [graph.node('MatMul', ['input', weights])], {
      min: { kind: 'float', value: -2 },
      max: { kind: 'float', value: 2 },
    });
    const [left, right] = graph.nodeOf('Split', [clipped], 2, { axis: int(1), split: ints([3, 3]) });
    const wide = graph.node('Unsqueeze', [graph.node('Dropout', [left!])], { axes: ints([1]) });
    const narrow = graph.node('Squeeze', [wide], { axes: ints([1]) });
    const mean = graph.node('ReduceSum', [right!], { axes: ints([1]), keepdims: int(1) });
    const part = graph.node('Slice', [graph.node('Add', [narrow, mean])], {
      axes: ints([1]),
      starts: ints([0]),
      ends: ints([3]),
    });
    graph.node('Softmax', [part], {}, { outputs: ['out'] });
    graph.output('out', 'float32', ['N', 3]);
    const onnx = encodeModel(graph.build('old', { opset: 9, irVersion: 4 }));
    expect(await compare(manifest, onnx, 80)).toBe(1);
  });

  it('is refused, naming the operator, if it cannot be rewritten', async () => {
    const manifest = manifestOf({ features: [{ name: 'x', from: 'request.x' }] });
    const graph = new GraphBuilder();
    graph.input('input', 'float32', ['N', 1]);
    graph.node('Hardmax', ['input'], {}, { outputs: ['out'] });
    graph.output('out', 'float32', ['N', 1]);
    const onnx = encodeModel(graph.build('old', { opset: 9, irVersion: 4 }));
    expect(() => fuseModel(manifest, onnx, ORIGIN)).toThrow(/operator Hardmax of set 9/);
  });
});
