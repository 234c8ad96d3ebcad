import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { trainingSpec } from '@hotloop/model/training/training-settings.ts';
import { describe, expect, it } from 'vitest';
import { untrainedNetwork } from '../registry/weights-without-file.ts';
import { changesNetwork, parametersOf, withOverrides } from './run-overrides.ts';

const manifest = (rest = '') =>
  parseManifest(`name: m
task: binary
features:
  - {name: x, from: request.x}
  - {name: y, from: request.y}
training: {epochs: 2${rest}}
`);
const TREES = ', trainer: {command: [python3, train.py]}';

describe('the kernel of a trial', () => {
  it.each(['logistic', 'perceptron', 'wide-and-deep', 'factorization-machine'] as const)(
    'is a network that is trained here, even if the manifest names a program: %s',
    (kernel) => {
      const trial = withOverrides(manifest(TREES), { kernel });
      expect(trainingSpec(trial)).toMatchObject({ network: { kind: kernel }, epochs: 2 });
      expect(trainingSpec(trial).trainer).toBeUndefined();
      expect(parametersOf(trial)).toMatchObject({ kernel });
      expect(changesNetwork({ kernel })).toBe(true);
      expect(inspectModel(untrainedNetwork(trial)).outputs[0]?.name).toBe('score');
    },
  );

  it('may be the program that the manifest names', () => {
    const trial = withOverrides(manifest(TREES), { kernel: 'external' });
    expect(trainingSpec(trial).trainer?.command).toEqual(['python3', 'train.py']);
    expect(changesNetwork({ kernel: 'external' })).toBe(false);
    expect(() => withOverrides(manifest(), { kernel: 'external' })).toThrow('needs training.trainer');
    expect(() => withOverrides(manifest(), { kernel: 'forest' })).toThrow('cannot be used');
    expect(() => withOverrides(manifest(), { depth: 3 })).toThrow('depth is none of kernel');
  });
});
