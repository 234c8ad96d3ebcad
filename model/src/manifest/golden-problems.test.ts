import { describe, expect, it } from 'vitest';
import type { TensorSpec } from '../onnx/inspect.ts';
import type { ElementType } from '../onnx/tensor.ts';
import { checkManifestFits } from './check-model.ts';
import { goldenProblems } from './golden-problems.ts';
import { type Golden, MAX_GOLDEN_EXAMPLES } from './golden-schema.ts';
import { parseManifest } from './parse-manifest.ts';

function spec(name: string, shape: TensorSpec['shape'], elementType: ElementType = 'float32'): TensorSpec {
  return { name, shape, elementType };
}

const MODEL = {
  inputs: [spec('x', ['N', 2])],
  outputs: [spec('p', ['N', 1]), spec('label', ['N'], 'int64')],
};

type Tensors = Golden['examples'][number]['inputs'];

function problemsOf(inputs: Tensors, outputs: Tensors, model = MODEL): string[] {
  return goldenProblems({ examples: [{ inputs, outputs }] }, model);
}

const yamlWith = (golden: string) => `name: m\ntask: tensor\ngolden: ${golden}\n`;

describe('golden examples in model.yaml', () => {
  it('are parsed with their tolerance, within limits', () => {
    const good = '{relative: 0.01, examples: [{inputs: {x: [[1, 2]]}, outputs: {p: [[0.5]]}}]}';
    expect(parseManifest(yamlWith(good)).golden).toEqual({
      relative: 0.01,
      examples: [{ inputs: { x: [[1, 2]] }, outputs: { p: [[0.5]] } }],
    });
    const many = (count: number, example: string) => `{examples: [${Array(count).fill(example).join(', ')}]}`;
    const small = '{inputs: {x: 1}, outputs: {p: 1}}';
    expect(parseManifest(yamlWith(many(MAX_GOLDEN_EXAMPLES, small))).golden?.examples).toHaveLength(64);
    const wide = `{inputs: {x: [${Array(2_000).fill('1.25').join(', ')}]}, outputs: {p: 1}}`;
    const refused: [string, RegExp][] = [
      [many(MAX_GOLDEN_EXAMPLES + 1, small), /golden\.examples: .*64/],
      [many(10, wide), /golden: the examples are larger than 65536 bytes/],
      [
        '{examples: [{inputs: {x: .nan}, outputs: {p: 1}}]}',
        /golden\.examples\.0\.inputs\.x: must be finite numbers/,
      ],
      [
        '{examples: [{inputs: {x: 1}, outputs: {p: [[.inf]]}}]}',
        /golden\.examples\.0\.outputs\.p: must be finite numbers/,
      ],
      ['{examples: [{inputs: {x: 1}, outputs: {p: null}}]}', /golden\.examples\.0\.outputs\.p/],
      ['{examples: [{inputs: {x: 1}, outputs: {}}]}', /golden\.examples\.0\.outputs: must name at least one/],
      ['{examples: [{inputs: {x: 1}}]}', /golden\.examples\.0\.outputs/],
      ['{absolute: -1}', /golden\.absolute/],
      ['{rtol: 1}', /golden: .*rtol/],
    ];
    for (const [golden, message] of refused)
      expect(() => parseManifest(yamlWith(golden)), golden.slice(0, 80)).toThrow(message);
  });

  it.each<[string, Tensors, Tensors, typeof MODEL]>([
    [
      'some outputs of several',
      {
        x: [
          [1, 2],
          [3, 4],
        ],
      },
      { p: [[0.1], [0.2]] },
      MODEL,
    ],
    ['64-bit integers as text', { x: [[1, 2]] }, { label: ['-9223372036854775808'] }, MODEL],
    [
      'several inputs of other types',
      { a: [[true, false]], b: ['word'], c: 200, d: '18446744073709551615', e: -65_504 },
      { p: [[1]] },
      {
        inputs: [
          spec('a', ['N', 2], 'bool'),
          spec('b', [null], 'string'),
          spec('c', [], 'uint8'),
          spec('d', null, 'uint64'),
          spec('e', [], 'float16'),
        ],
        outputs: MODEL.outputs,
      },
    ],
  ])('fit: %s', (_, inputs, outputs, model) => {
    expect(problemsOf(inputs, outputs, model)).toEqual([]);
  });

  const out = { p: [[1]] };
  const typed = (type: ElementType) => ({ inputs: [spec('x', [], type)], outputs: MODEL.outputs });
  it.each<[string, Tensors, Tensors, typeof MODEL, string]>([
    ['an input that is missing', {}, out, MODEL, 'input "x" is missing'],
    ['an input that is not there', { x: [[1, 2]], y: 1 }, out, MODEL, 'no input "y"; it has "x"'],
    ['an output that is not there', { x: [[1, 2]] }, { q: 1 }, MODEL, 'no output "q"; it has "p", "label"'],
    [
      'another width',
      { x: [[1, 2, 3]] },
      out,
      MODEL,
      'input "x" has shape [1,3], but the model\'s is [N, 2]',
    ],
    ['another rank', { x: [1, 2] }, out, MODEL, 'has shape [2]'],
    ['an output of another width', { x: [[1, 2]] }, { p: [[1, 2]] }, MODEL, 'output "p" has shape [1,2]'],
    ['ragged rows', { x: [[1, 2], [3]] }, out, MODEL, 'is ragged: entry 1 has shape [1], entry 0 has [2]'],
    ['a row beside a number', { x: [[1, 2], 3] }, out, MODEL, 'is ragged'],
    ['an empty list', { x: [] }, out, MODEL, 'contains an empty list'],
    ['text for numbers', { x: [[1, 'two']] }, out, MODEL, 'contains "two", which is not float32'],
    ['more than float32 holds', { x: [[1, 1e39]] }, out, MODEL, 'contains 1e+39, which is not float32'],
    ['more than float16 holds', { x: 65_505 }, out, typed('float16'), 'not float16'],
    ['a fraction for an integer', { x: 1.5 }, out, typed('int32'), 'not int32'],
    ['more than a byte holds', { x: 256 }, out, typed('uint8'), 'contains 256, which is not uint8'],
    ['less than nothing', { x: -1 }, out, typed('uint32'), 'not uint32'],
    [
      'a number that lost digits',
      { x: 2 ** 53 },
      out,
      typed('int64'),
      'write whole numbers past 2^53 as text',
    ],
    ['text past 64 bits', { x: '9223372036854775808' }, out, typed('int64'), 'not int64'],
    ['a number for a flag', { x: 1 }, out, typed('bool'), 'not bool'],
    ['a number for text', { x: 1 }, out, typed('string'), 'not string'],
    ['a type that cannot be written', { x: 1 }, out, typed('float8e5m2'), 'not float8e5m2'],
  ])('are refused: %s', (_, inputs, outputs, model, message) => {
    const problems = problemsOf(inputs, outputs, model);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^golden\.examples\.0: /);
    expect(problems[0]).toContain(message);
  });

  it('are checked when the manifest is compared with the file, and many problems give a short text', () => {
    const bad = Array.from({ length: 9 }, () => ({ inputs: { x: [[1]] }, outputs: { p: [[1]] } }));
    const manifest = { ...parseManifest('name: m\ntask: tensor\n'), golden: { examples: bad } };
    expect(() => checkManifestFits(manifest, MODEL)).toThrow(
      /^model\.yaml does not fit model\.onnx: golden\.examples\.0: .*; golden\.examples\.4: .*; golden\.examples: 4 more do not fit$/,
    );
  });
});
