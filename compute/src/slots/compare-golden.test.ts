import { manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import type { Datatype } from '@hotloop/model/tensor.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ExecutionProvider } from '../runner/load-options.ts';
import { differences, toleranceOf } from './compare-golden.ts';

const finite = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 });
const anyTolerance = fc.record({
  absolute: fc.double({ min: 1e-3, max: 1, noNaN: true }),
  relative: fc.double({ min: 0, max: 1, noNaN: true }),
});

const manifestOf = (changes: object = {}) => manifestSchema.parse({ name: 'm', task: 'tensor', ...changes });

describe('comparing with golden values', () => {
  it('accepts values within the tolerance and none beyond it, on either side', () => {
    // Fractions of the tolerance. At these magnitudes, a thousandth of it is more than rounding can change.
    const share = fc.oneof(
      fc.double({ min: -0.999, max: 0.999, noNaN: true }),
      fc.constantFrom(-50, -1.001, 1.001, 50),
    );
    const pairs = fc.array(fc.tuple(finite, share), { minLength: 1 });
    fc.assert(
      fc.property(pairs, anyTolerance, (given, tolerance) => {
        const expected = given.map(([value]) => value);
        const got = given.map(
          ([value, of]) => value + of * (tolerance.absolute + tolerance.relative * Math.abs(value)),
        );
        const beyond = given.flatMap(([, of], index) => (Math.abs(of) > 1 ? [index] : []));
        expect(differences(got, expected, tolerance)).toEqual(beyond);
      }),
    );
  });

  it('agrees with numpy.isclose element by element', () => {
    const tolerance = { absolute: 1e-5, relative: 1e-3 };
    // numpy.isclose(got, expected, rtol=1e-3, atol=1e-5)
    const table: [number, number, boolean][] = [
      [0, 0, true],
      [-0, 0, true],
      [1e-5, 0, true],
      [1.1e-5, 0, false],
      [1.001, 1, true],
      [1.0011, 1, false],
      [-1.001, -1, true],
      [1, -1, false],
      [1e6 + 1000, 1e6, true],
      [1e6 + 1001, 1e6, false],
      [Number.NaN, 1, false],
      [Number.POSITIVE_INFINITY, 1, false],
      [Number.NEGATIVE_INFINITY, -1e300, false],
      [1, Number.POSITIVE_INFINITY, false],
      [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, false],
    ];
    for (const [got, expected, fits] of table)
      expect([got, expected, differences([got], [expected], tolerance).length === 0]).toEqual([
        got,
        expected,
        fits,
      ]);
  });

  it('accepts only equal values without a tolerance', () => {
    const value = fc.oneof(fc.integer(), fc.bigInt(), fc.string(), fc.boolean());
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value), { minLength: 1 }), (pairs) => {
        const [got, expected] = [pairs.map(([one]) => one), pairs.map(([, other]) => other)];
        const unequal = pairs.flatMap(([one, other], index) => (one === other ? [] : [index]));
        expect(differences(got, expected)).toEqual(unequal);
        expect(differences(expected, expected)).toEqual([]);
      }),
    );
  });

  it('counts a missing value as different', () => {
    expect(differences([1], [1, 2], { absolute: 1, relative: 1 })).toEqual([1]);
  });
});

describe('the tolerance of an output', () => {
  const usual = (datatype: Datatype, executionProviders: ExecutionProvider[], expected: number[] = [0.5]) =>
    toleranceOf({ executionProviders }, datatype, expected);

  it('is as wide as rounding on the provider and in the datatype requires', () => {
    expect(usual('FP32', ['cpu'])).toEqual({ relative: 1e-3, absolute: 1e-5 });
    expect(usual('FP64', ['cpu'])).toEqual({ relative: 1e-3, absolute: 1e-5 });
    for (const provider of ['cuda', 'tensorrt', 'webgpu'] as const)
      expect(usual('FP32', [provider, 'cpu'])).toEqual({ relative: 1e-2, absolute: 2e-3 });
    expect(usual('FP16', ['cpu'])).toEqual({ relative: 1e-2, absolute: 2e-3 });
    expect(usual('BF16', ['cuda'])).toEqual({ relative: 4e-2, absolute: 2e-2 });
  });

  it('grows with the largest expected value, because values near zero were rounded at that magnitude', () => {
    expect(usual('FP32', ['cpu'], [0.001, -4000]).absolute).toBeCloseTo(4e-2, 12);
    expect(usual('FP32', ['cpu'], []).absolute).toBe(1e-5);
  });

  it('is what the manifest declares, unscaled, where it declares', () => {
    const declared = { ...manifestOf({ golden: { absolute: 0.25 } }), executionProviders: ['cuda'] as const };
    expect(toleranceOf(declared, 'FP32', [1000])).toEqual({ relative: 1e-2, absolute: 0.25 });
    const exact = {
      ...manifestOf({ golden: { absolute: 0, relative: 0 } }),
      executionProviders: ['cpu'] as const,
    };
    expect(toleranceOf(exact, 'BF16', [1])).toEqual({ relative: 0, absolute: 0 });
  });
});
