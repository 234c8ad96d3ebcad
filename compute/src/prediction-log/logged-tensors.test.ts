import { parseManifest } from '@hotloop/platform/manifest/parse-manifest.ts';
import { describe, expect, it } from 'vitest';
import { featureManifest } from '../testing/model-bundles.ts';
import { logPolicyOf } from './log-policy.ts';
import { keptInputs, TensorSpecifications } from './logged-tensors.ts';

const floats = (...values: number[]) => new Uint8Array(Float32Array.of(...values).buffer);
const policyOf = (log: string) => logPolicyOf(parseManifest(featureManifest('tiny', 2, log)));

describe('inputs in the log', () => {
  it('are kept end to end when they are no feature rows', () => {
    const inputs = [{ contents: Uint8Array.of(1, 2) }, { contents: Uint8Array.of(3) }];
    expect(keptInputs(policyOf(''), inputs, 1, 0)).toEqual(Buffer.of(1, 2, 3));
    expect(keptInputs(policyOf(''), inputs.slice(0, 1), 1, 0)).toEqual(Uint8Array.of(1, 2));
  });

  it('are kept but for hidden features, and not at all when nobody knows where those stand', () => {
    const policy = policyOf('log: {redact: [f1]}\n');
    const rows = { contents: floats(1, 2, 3, 4) };
    expect(keptInputs(policy, [rows], 2, 2)).toEqual(Buffer.from(floats(1, Number.NaN, 3, Number.NaN)));
    expect(keptInputs(policy, [rows], 2, 0)).toBeNull();
    expect(keptInputs(policy, [rows, rows], 2, 0)).toBeNull();
  });
});

describe('specifications of tensors', () => {
  it('name each tensor as the model does, whatever shapes come', () => {
    const specifications = new TensorSpecifications([{ name: 'x' }, { name: 'mask' }]);
    for (const rows of [1, 2, 1])
      expect(
        JSON.parse(
          specifications.of([
            { datatype: 'FP32', shape: [rows, 3] },
            { datatype: 'BOOL', shape: [rows] },
          ]),
        ),
      ).toEqual([
        { name: 'x', datatype: 'FP32', shape: [rows, 3] },
        { name: 'mask', datatype: 'BOOL', shape: [rows] },
      ]);
  });
});
