import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { Datatype } from '@hotloop/model/tensor.ts';
import { type LoadOptions, usesDevice } from '../runner/load-options.ts';
import type { Value } from './golden-values.ts';

/** How far a number with a fraction may be from the expected one: absolute + relative * |expected|. */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
}

/** What a manifest declares of its answers, and what the version runs on here. */
export interface GoldenTerms extends Pick<LoadOptions, 'executionProviders'> {
  readonly golden?: Manifest['golden'];
}

/** What rounding alone may change, by the bits of the fractions that are multiplied; docs/decisions/0005 has the measurements. */
const ROUNDING = {
  /** 24 bits, added up in another order. */
  single: { relative: 1e-3, absolute: 1e-5 },
  /** 11 bits: FP16, and the TF32 that graphics processors multiply FP32 in unless told otherwise. */
  half: { relative: 1e-2, absolute: 2e-3 },
  /** 8 bits. */
  bfloat16: { relative: 4e-2, absolute: 2e-2 },
} as const satisfies Record<string, Tolerance>;

/**
 * The tolerance for one output: what the manifest declares, else what rounding may change on the version's provider. A default
 * absolute part grows with the output's largest expected value: what cancels out near zero was rounded at that size.
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

/** True for the datatypes whose values are compared within a tolerance; all others must be equal. */
export function hasFraction(datatype: Datatype): boolean {
  return datatype === 'FP32' || datatype === 'FP64' || datatype === 'FP16' || datatype === 'BF16';
}

/** False for NaN and infinities on either side: any number would be within a share of an infinite one. */
export function isWithin(value: number, expected: number, { absolute, relative }: Tolerance): boolean {
  return Number.isFinite(expected) && Math.abs(value - expected) <= absolute + relative * Math.abs(expected);
}

/**
 * Indices of values that differ from the expected ones. Numbers fit within the tolerance, as numpy.allclose has it; NaN and infinities
 * never do. Without a tolerance only equal values fit. Both must be equally long.
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
