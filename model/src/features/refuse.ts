import { HotloopError } from '@hotloop/proto/errors.ts';
import { quotedJson } from '@hotloop/proto/quoted.ts';
import type { CompiledFeature } from './compile-feature.ts';
import { FEATURE_STATUS } from './feature-status.ts';

type Row = { readonly id: string } | undefined;

const EXPECTED = {
  number: 'a number',
  text: 'a text',
  flag: 'true or false',
  texts: 'a list of texts',
  image: 'a JPEG or PNG file as base64, which the front door decodes',
} as const;

function refusal(feature: CompiledFeature, candidate: Row, problem: string, reason: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `${subject(feature, candidate)} ${problem}`, { reason });
}

function subject(feature: CompiledFeature, candidate: Row): string {
  const row = candidate && !feature.shared ? ` of candidate ${quotedJson(candidate.id)}` : '';
  return `feature ${feature.name}${row} (${feature.from})`;
}

function described(value: unknown): string {
  if (typeof value === 'number') return `the number ${value}`;
  if (typeof value === 'string') return `the text ${quotedJson(value)}`;
  if (typeof value === 'boolean') return String(value);
  return Array.isArray(value) ? 'a list' : 'something else';
}

export function mistyped(feature: CompiledFeature, value: unknown, candidate: Row): HotloopError {
  const problem = `must be ${EXPECTED[feature.type]}, not ${described(value)}`;
  return refusal(feature, candidate, problem, 'mistyped_feature');
}

export function notFinite(feature: CompiledFeature, value: unknown, candidate: Row): HotloopError {
  const problem = `must be a finite number that ${feature.encoder.dtype} can represent, not ${described(value)}`;
  return refusal(feature, candidate, problem, 'nonfinite_feature');
}

export function outOfRange(feature: CompiledFeature, value: number, candidate: Row): HotloopError {
  const problem = `must be in [${feature.low}, ${feature.high}], not ${value}`;
  return refusal(feature, candidate, problem, 'feature_out_of_range');
}

export function notAllowed(feature: CompiledFeature, value: unknown, candidate: Row): HotloopError {
  const shown = [...(feature.allowed ?? [])].slice(0, 10).map(String).join(', ');
  const more = (feature.allowed?.size ?? 0) > 10 ? ', ...' : '';
  const problem = `must be one of ${shown}${more}, not ${described(value)}`;
  return refusal(feature, candidate, problem, 'feature_not_allowed');
}

export function tooFew(feature: CompiledFeature, arrived: number, candidate: Row): HotloopError {
  const problem =
    feature.values === 1
      ? 'is missing and the model declares no missing value for it'
      : `has ${arrived} of ${feature.values} values and the model declares no missing value for it`;
  return refusal(feature, candidate, problem, 'missing_feature');
}

/** The feature's value is absent, for the reason in `status`, and no missing value is declared. */
export function absent(feature: CompiledFeature, status: number, candidate: Row): HotloopError {
  if (status === FEATURE_STATUS.DEGRADED)
    return new HotloopError(
      'UNAVAILABLE',
      `${subject(feature, candidate)} needs the ${feature.source.kind}, which cannot be reached; try again`,
      { reason: `${feature.source.kind}_unavailable` },
    );
  if (status === FEATURE_STATUS.STALE)
    return refusal(
      feature,
      candidate,
      'is older than max_age and the model declares no missing value for it',
      'stale_feature',
    );
  return refusal(
    feature,
    candidate,
    `is missing and the model declares no missing value for it; ${feature.source.remedy}`,
    'missing_feature',
  );
}

/** The manifest contains something that cannot be served. */
export function badManifest(model: string, where: string, error: unknown): HotloopError {
  const why = error instanceof RangeError ? error.message : 'it cannot be compiled';
  return new HotloopError('FAILED_PRECONDITION', `model ${model}: ${where}: ${why}`, {
    reason: 'invalid_manifest',
    cause: error,
  });
}
