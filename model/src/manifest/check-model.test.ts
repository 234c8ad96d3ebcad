import { describe, expect, it } from 'vitest';
import type { TensorSpec } from '../onnx/inspect.ts';
import { checkManifestFits, type ModelInterface } from './check-model.ts';
import { columnsOf } from './columns.ts';
import { type Manifest, manifestSchema } from './manifest.ts';

const features = [
  { name: 'price', from: 'request.price' },
  { name: 'month', from: 'request.month', transform: [{ one_hot: ['Jan', 'Feb', 'Mar'] }] },
];

function manifest(changes: Record<string, unknown> = {}): Manifest {
  return manifestSchema.parse({ name: 'shoes', features, ...changes });
}

function tensor(
  name: string,
  shape: TensorSpec['shape'],
  elementType: TensorSpec['elementType'] = 'float32',
) {
  return { name, shape, elementType };
}

function model(changes: Partial<ModelInterface> = {}): ModelInterface {
  return { inputs: [tensor('x', ['N', 4])], outputs: [tensor('p', ['N', 1])], ...changes };
}

describe('the columns of a manifest', () => {
  it('are consecutive, as wide as their categories and values', () => {
    const widths = manifest({
      features: [
        ...features,
        { name: 'last', from: 'history.user.view.last(5).item', transform: [{ hash: 64 }] },
        { name: 'kinds', from: 'history.user.view.last(2).kind', transform: [{ one_hot: ['a', 'b'] }] },
      ],
    });
    expect(columnsOf(widths)).toMatchObject({
      width: 1 + 3 + 5 + 4,
      features: [
        { name: 'price', offset: 0, width: 1 },
        { name: 'month', offset: 1, width: 3 },
        { name: 'last', offset: 4, width: 5 },
        { name: 'kinds', offset: 9, width: 4 },
      ],
    });
  });
});

describe('a manifest that fits its model', () => {
  it.each([
    ['a free batch', manifest(), model()],
    ['an unnamed free batch', manifest(), model({ inputs: [tensor('x', [null, 4])] })],
    ['an open rank', manifest(), model({ inputs: [tensor('x', null)], outputs: [tensor('p', null)] })],
    ['a free width', manifest(), model({ inputs: [tensor('x', ['N', 'F'])] })],
    ['one row at a time', manifest(), model({ inputs: [tensor('x', [1, 4])] })],
    ['two numbers for binary', manifest(), model({ outputs: [tensor('p', ['N', 2])] })],
    ['a vector for binary', manifest(), model({ outputs: [tensor('p', ['N'])] })],
    ['a named input and output', manifest({ input: 'x', output: 'p' }), model()],
    [
      'the named one of several outputs',
      manifest({ output: 'p' }),
      model({ outputs: [tensor('label', ['N'], 'int64'), tensor('p', ['N', 1])] }),
    ],
    [
      'a class for each label',
      manifest({ task: 'multiclass', decision: { labels: ['a', 'b', 'c'] } }),
      model({ outputs: [tensor('p', ['N', 3])] }),
    ],
    ['regression', manifest({ task: 'regression' }), model()],
    ['ranking', manifest({ task: 'ranking' }), model()],
    [
      'any inputs for task tensor',
      manifestSchema.parse({ name: 'bare', task: 'tensor' }),
      model({ inputs: [tensor('a', [3], 'int64'), tensor('b', null, 'string')] }),
    ],
  ])('is accepted: %s', (_, fitting, file) => {
    expect(() => checkManifestFits(fitting, file)).not.toThrow();
  });
});

describe('a manifest that does not fit its model', () => {
  it.each<[string, Manifest, ModelInterface, RegExp]>([
    [
      'too few columns, with the width of each feature',
      manifest(),
      model({ inputs: [tensor('x', ['N', 5])] }),
      /features: they make 4 columns \(price 1, month 3\), but "x" takes 5 \[N, 5\]/,
    ],
    ['no input', manifest(), model({ inputs: [] }), /input: .* has 0 \(none\)/],
    [
      'two inputs',
      manifest(),
      model({ inputs: [tensor('a', ['N', 2]), tensor('b', ['N', 2])] }),
      /input: .* has 2 \("a", "b"\).*task tensor/,
    ],
    [
      'another name of the input',
      manifest({ input: 'y' }),
      model(),
      /input: the model has no input "y"; it has "x"/,
    ],
    [
      'an input of doubles',
      manifest(),
      model({ inputs: [tensor('x', ['N', 4], 'float64')] }),
      /input: "x" takes float64; features are float32/,
    ],
    [
      'an input of rank 3',
      manifest(),
      model({ inputs: [tensor('x', ['N', 4, 1])] }),
      /rows are a matrix \[N, F\]/,
    ],
    ['a fixed batch', manifest(), model({ inputs: [tensor('x', [8, 4])] }), /always takes 8 rows \[8, 4\]/],
    [
      'one row at a time for ranking',
      manifest({ task: 'ranking' }),
      model({ inputs: [tensor('x', [1, 4])] }),
      /task ranking needs a free first dimension/,
    ],
    ['no such output', manifest({ output: 'q' }), model(), /output: the model has no output "q"; it has "p"/],
    [
      'an output of labels',
      manifest(),
      model({ outputs: [tensor('label', ['N'], 'int64'), tensor('p', ['N', 2], 'int64')] }),
      /output: "label" holds int64.*name the one that holds the scores among "label", "p"/,
    ],
    [
      'three numbers for binary',
      manifest(),
      model({ outputs: [tensor('p', ['N', 3])] }),
      /output: "p" has 3 numbers a row \[N, 3\]; task binary needs one or two/,
    ],
    [
      'another number of labels',
      manifest({ task: 'multiclass', decision: { labels: ['a', 'b'] } }),
      model({ outputs: [tensor('p', ['N', 3])] }),
      /decision.labels: there are 2, but "p" has 3 numbers a row/,
    ],
    [
      'three labels for binary',
      manifest({ decision: { labels: ['a', 'b', 'c'] } }),
      model(),
      /decision.labels: task binary has two labels, not 3/,
    ],
    [
      'two numbers for ranking',
      manifest({ task: 'ranking' }),
      model({ outputs: [tensor('p', ['N', 2])] }),
      /task ranking needs one/,
    ],
    [
      'a misspelt tensor in log.redact',
      manifestSchema.parse({ name: 'bare', task: 'tensor', log: { redact: ['x', 'snn'] } }),
      model(),
      /log\.redact: the model has no input or output "snn"; it has "x", "p"/,
    ],
  ])('is refused: %s', (_, unfitting, file, problem) => {
    expect(() => checkManifestFits(unfitting, file)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(problem) }),
    );
  });

  it('is reported for its input and its output at once', () => {
    const file = model({ inputs: [tensor('x', ['N', 9])], outputs: [tensor('p', ['N', 9])] });
    expect(() => checkManifestFits(manifest(), file)).toThrow(/features: .*; output: /);
  });
});
