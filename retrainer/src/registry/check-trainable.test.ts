import { readFile } from 'node:fs/promises';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { describe, expect, it } from 'vitest';
import { linearModel, manifestText } from '../testing/fixture.ts';
import { checkTrainable } from './check-trainable.ts';

const TREES = new URL('../../../model/src/testing/cases/tree-with-nan.onnx', import.meta.url);

const check = (onnx: Uint8Array, training: string) =>
  checkTrainable(parseManifest(manifestText('m', training)), onnx, inspectModel(onnx));

describe('a model.yaml with a training section', () => {
  it('is refused at push for trees, with the node and the remedy', async () => {
    const trees = new Uint8Array(await readFile(TREES));
    expect(() => check(trees, 'training: {epochs: 1}\n')).toThrow(
      /cannot be fine-tuned: .*node '.+' of type 'ai\.onnx\.ml:TreeEnsemble\w+'.*training\.trainer/s,
    );
    // These are trained by a program, or not at all.
    expect(() => check(trees, 'training: {trainer: {command: [python, train.py]}}\n')).not.toThrow();
    expect(() => check(trees, '')).not.toThrow();
  });

  it('is accepted for a network', () => {
    expect(() => check(linearModel(), 'training: {epochs: 1}\n')).not.toThrow();
  });
});
