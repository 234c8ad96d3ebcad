import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { Datatype } from '@hotloop/model/tensor.ts';
import { type LoadOptions, usesDevice } from '../runner/load-options.ts';
import type { Value } from './golden-values.ts';

/** Largest difference of a floating point value from the expected one: absolute + relative * |expected|. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
}

/** The declared golden examples and tolerance, and the providers that the version runs on here. */
export interface GoldenTerms extends Pick<LoadOptions, 'executionProviders'> {
  readonly golden?: Manifest['golden'];
}

/**
 * Differences that rounding alone can cause, by the precision of the multiplied fractions; docs/decisions/0005 has
 * the measurements.
 */
const ROUNDING = {
  /** 24 bits, summed in another order. */
  single: { relative: 1e-3, absolute: 1e-5 },
  /** 11 bits: FP16, and TF32, in which GPUs multiply FP32 by default. */
  half: { relative: 1e-2, absolute: 2e-3 },
  /** 8 bits. */
  bfloat16: { relative: 4e-2, absolute: 2e-2 },
} as const satisfies Record<string, Tolerance>;

/**
 * The tolerance for one output: as declared in the manifest, else what rounding can change on the version's provider.
 * A default absolute part grows with the output's largest expected value, because values that cancel out to near zero
 * were rounded at that magnitude.
 */
export function toleranceOf(
  { golden, executionProviders }: GoldenTerms,
  datatype: Datatype,
  expected: readonly number[],
): Tolerance {
  const isExactProvider = !usesDevice(executionProviders);
  const usual =
    datatype === 'BF16'
      ? ROUNDING.bfloat16
      : datatype === 'FP16' || !isExactProvider
        ? ROUNDING.half
        : ROUNDING.single;
  const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
  return {
    relative: golden?.relative ?? usual.relative,
    absolute: golden?.absolute ?? usual.absolute * scale,
  };
}

/** True for the floating point datatypes, which are compared within a tolerance; all others must be equal. */
export function hasFraction(datatype: Datatype): boolean {
  return datatype === 'FP32' || datatype === 'FP64' || datatype === 'FP16' || datatype === 'BF16';
}

/** False for NaN and infinities on either side: any number would be within a fraction of an infinite one. */
export function isWithin(value: number, expected: number, { absolute, relative }: Tolerance): boolean {
  return Number.isFinite(expected) && Math.abs(value - expected) <= absolute + relative * Math.abs(expected);
}

/**
 * Indices of values that differ from the expected ones. Numbers may differ within the tolerance, as in
 * numpy.allclose; NaN and infinities always differ. Without a tolerance only equal values match. Both lists must have
 * the same length.
 */
export function differences(
  got: readonly Value[],
  expected: readonly Value[],
  tolerance?: Tolerance,
): number[] {
  const found: number[] = [];
  for (const [index, wanted] of expected.entries()) {
    const value = got[index];
    const fits =
      tolerance === undefined ? value === wanted : isWithin(Number(value), Number(wanted), tolerance);
    if (!fits) found.push(index);
  }
  return found;
}
