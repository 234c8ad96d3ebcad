import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { describe, expect, it } from 'vitest';
import { tensorManifest } from '../testing/echo-models.ts';
import { featureManifest } from '../testing/model-bundles.ts';
import { logPolicyOf } from './log-policy.ts';
import { keptInputs, LoggedTensors } from './logged-tensors.ts';

const floats = (...values: number[]) => new Uint8Array(Float32Array.of(...values).buffer);
const X = { name: 'x' };
const SSN = { name: 'ssn' };

function kept(log: string, names: readonly { name: string }[], columns: number, ...contents: Uint8Array[]) {
  const tensors = contents.map((bytes) => ({ contents: bytes }));
  const yaml = columns > 0 ? featureManifest('tiny', columns, log) : tensorManifest('any', log);
  const policy = logPolicyOf(parseManifest(yaml));
  return keptInputs(new LoggedTensors(names, policy), policy, tensors, 2, columns);
}

describe('inputs in the log', () => {
  it('are kept concatenated when they are not feature rows', () => {
    expect(kept('', [X, SSN], 0, Uint8Array.of(1, 2), Uint8Array.of(3))).toEqual(Buffer.of(1, 2, 3));
    expect(kept('', [X], 0, Uint8Array.of(1, 2))).toEqual(Uint8Array.of(1, 2));
  });

  it('are kept except for hidden features', () => {
    const rows = floats(1, 2, 3, 4);
    expect(kept('log: {redact: [f1]}\n', [X], 2, rows)).toEqual(
      Buffer.from(floats(1, Number.NaN, 3, Number.NaN)),
    );
  });

  it('are not kept at all when features are hidden and their positions are unknown', () => {
    const policy = logPolicyOf(parseManifest(featureManifest('tiny', 2, 'log: {redact: [f1]}\n')));
    const inputs = [{ contents: Uint8Array.of(1) }, { contents: Uint8Array.of(2) }];
    expect(keptInputs(new LoggedTensors([X, SSN], policy), policy, inputs, 1, 0)).toBeNull();
  });

  it('are not kept when features are hidden and rows are narrower or wider than the manifest says', () => {
    const policy = logPolicyOf(parseManifest(featureManifest('tiny', 3, 'log: {redact: [f2]}\n')));
    const logged = new LoggedTensors([X], policy);
    const keep = (columns: number) => {
      const contents = floats(...Array.from({ length: 2 * columns }, (_, index) => index));
      return keptInputs(logged, policy, [{ contents }], 2, columns);
    };
    expect(keep(2)).toBeNull();
    expect(keep(4)).toBeNull();
    expect(keep(3)).toEqual(Buffer.from(floats(0, 1, Number.NaN, 3, 4, Number.NaN)));
  });

  it('are kept as they are, however wide, when nothing is hidden', () => {
    const policy = logPolicyOf(parseManifest(featureManifest('tiny', 3)));
    const contents = floats(1, 2);
    expect(keptInputs(new LoggedTensors([X], policy), policy, [{ contents }], 1, 2)).toEqual(contents);
  });

  it('are left out by name, a single input as well as one of several', () => {
    const log = 'log: {redact: [ssn]}\n';
    expect(kept(log, [SSN, X], 0, Uint8Array.of(1, 2), Uint8Array.of(3))).toEqual(Uint8Array.of(3));
    expect(kept(log, [SSN], 0, Uint8Array.of(1, 2))).toBeNull();
  });
});

describe('specifications of tensors', () => {
  it('name each tensor as the model does, for any shapes, and mark hidden tensors', () => {
    const policy = logPolicyOf(parseManifest(tensorManifest('any', 'log: {redact: [ssn]}\n')));
    const logged = new LoggedTensors([X, SSN], policy);
    for (const rows of [1, 2, 1])
      expect(
        JSON.parse(
          logged.specification([
            { datatype: 'FP32', shape: [rows, 3] },
            { datatype: 'BYTES', shape: [rows] },
          ]),
        ),
      ).toEqual([
        { name: 'x', datatype: 'FP32', shape: [rows, 3] },
        { name: 'ssn', datatype: 'BYTES', shape: [rows], hidden: true },
      ]);
  });
});
