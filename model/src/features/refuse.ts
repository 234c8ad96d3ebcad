import { HotloopError } from '@hotloop/proto/errors.ts';
import { quotedJson } from '@hotloop/proto/quoted.ts';
import type { Attributes } from '../value.ts';
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
  if (!Array.isArray(value)) return 'something else';
  const types = new Set(value.map((item) => typeof item));
  if (types.size !== 1) return types.size === 0 ? 'an empty list' : 'a list of mixed values';
  return types.has('number') ? 'a list of numbers' : 'a list of texts';
}

export function mistyped(feature: CompiledFeature, value: unknown, candidate: Row): HotloopError {
  const problem = `must be ${EXPECTED[feature.type]}, not ${described(value)}`;
  return refusal(feature, candidate, problem, 'mistyped_feature');
}

export function notFinite(feature: CompiledFeature, value: unknown, candidate: Row): HotloopError {
  const { stages, dtype } = feature.encoder;
  const expected = stages.flatMap((stage) => ('expects' in stage ? [stage.expects] : []))[0];
  const problem = `must be ${expected ?? `a finite number that ${dtype} can represent`}, not ${described(value)}`;
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

/**
 * The feature's value is absent, for the reason in `status`, and no missing value is declared.
 *
 * @param request the attributes that were sent with the request: a misspelled name is seen beside what was missed.
 */
export function absent(
  feature: CompiledFeature,
  status: number,
  candidate: Row,
  request: Attributes,
): HotloopError {
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
    `is missing and the model declares no missing value for it; ${feature.source.remedy}${sentInstead(feature, request)}`,
    'missing_feature',
  );
}

const MOST_NAMES = 10;

function sentInstead({ source }: CompiledFeature, request: Attributes): string {
  const names = source.kind === 'request' ? Object.keys(request) : [];
  if (names.length === 0) return '';
  const more = names.length > MOST_NAMES ? ', ...' : '';
  return `; the request has ${names.slice(0, MOST_NAMES).map(quotedJson).join(', ')}${more}`;
}

/** The manifest contains something that cannot be served. */
export function badManifest(model: string, where: string, error: unknown): HotloopError {
  const why = error instanceof RangeError ? error.message : 'it cannot be compiled';
  return new HotloopError('FAILED_PRECONDITION', `model ${model}: ${where}: ${why}`, {
    reason: 'invalid_manifest',
    cause: error,
  });
}
