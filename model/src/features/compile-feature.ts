import { compileEncoder, type Encoder } from './encoder.ts';
import { type Feature, MISSING_NAN } from './feature-schema.ts';
import type { ImageSettings } from './image.ts';
import { isOfType, type RawType, type RawValue } from './raw-value.ts';
import { parseSource } from './registry.ts';
import { encodeValues } from './run-stages.ts';
import type { CompiledSource } from './sources/source-kind.ts';

/** A feature of a plan, with everything that does not depend on the request. */
export interface CompiledFeature {
  readonly name: string;
  /** The source as written in the manifest, for messages. */
  readonly from: string;
  readonly source: CompiledSource;
  readonly encoder: Encoder;
  readonly type: RawType;
  /** Columns: the encoder's width, times N for last(N). */
  readonly width: number;
  /** Values that make up the columns: N for last(N), otherwise 1. */
  readonly values: number;
  /** Raw value that replaces an absent one; undefined: the feature is required. */
  readonly missing: RawValue | undefined;
  /** NaN represents an absent value, so NaN is accepted. */
  readonly takesNaN: boolean;
  readonly low: number;
  readonly high: number;
  readonly allowed: ReadonlySet<unknown> | undefined;
  readonly outside: 'reject' | 'clip' | 'default' | 'keep';
  /** The same for every candidate. */
  readonly shared: boolean;
  /** Indices in the manifest of the features that it is computed from. */
  readonly uses: readonly number[];
  readonly input: string | undefined;
  readonly hidden: boolean;
  /** How its images are decoded; undefined for other features. */
  readonly image: ImageSettings | undefined;
}

/**
 * Compiles all features of a manifest, in order. Throws FeatureProblem that names the feature and the reason when its
 * parts do not fit together.
 */
export function compileFeatures(features: readonly Feature[], ranking: boolean): CompiledFeature[] {
  const compiled: CompiledFeature[] = [];
  for (const feature of features) {
    try {
      compiled.push(compileFeature(feature, compiled, ranking));
    } catch (error) {
      if (error instanceof RangeError) throw new FeatureProblem(feature.name, error.message);
      throw error;
    }
  }
  return compiled;
}

/** A feature whose parts do not fit together. */
export class FeatureProblem extends RangeError {
  readonly feature: string;

  constructor(feature: string, reason: string) {
    super(reason);
    this.feature = feature;
  }
}

/** Throws RangeError with the reason. `earlier`: the compiled features before it. */
export function compileFeature(
  feature: Feature,
  earlier: readonly CompiledFeature[],
  ranking: boolean,
): CompiledFeature {
  const { kind, source: parsed } = parseSource(feature.from);
  for (const field of ['window', 'max_age', 'where', 'by'] as const)
    if (feature[field] !== undefined && !kind.takes.includes(field))
      throw new RangeError(
        `${field} belongs to ${field === 'by' ? 'a reference' : field === 'max_age' ? 'a history or reference' : 'a history'} source`,
      );
  if (kind.name === 'item' && !ranking) throw new RangeError(`${feature.from} needs task ranking`);
  const source = parsed.compile(feature);
  const uses = (parsed.uses ?? []).map((name) => placeOf(name, earlier));
  const encoder = compileEncoder(feature, source.type);
  const { type } = encoder;
  if (feature.range !== undefined) {
    if (type !== 'number') throw new RangeError(`range needs a number, not ${type}`);
    if (feature.range[0] > feature.range[1]) throw new RangeError('range must be [smallest, largest]');
  }
  const perCandidate = source.perCandidate || uses.some((place) => earlier[place]?.shared === false);
  const image = imageOf(encoder);
  if (image !== undefined && kind.name !== 'request' && kind.name !== 'item')
    throw new RangeError('image reads a field of the request or of an item');
  if (type === 'image' && image === undefined) throw new RangeError('an image needs the transform image');
  const missing = missingOf(feature, encoder);
  const outside = feature.quality?.outside ?? 'reject';
  if (outside === 'default' && missing === undefined)
    throw new RangeError('quality.outside: default needs a missing value');
  if (outside === 'clip' && feature.range === undefined)
    throw new RangeError('quality.outside: clip needs range');
  return {
    name: feature.name,
    from: feature.from,
    source,
    encoder,
    type,
    width: source.values * encoder.width,
    values: source.values,
    missing,
    takesNaN: Number.isNaN(missing),
    low: feature.range?.[0] ?? Number.NEGATIVE_INFINITY,
    high: feature.range?.[1] ?? Number.POSITIVE_INFINITY,
    allowed: allowedOf(feature, type),
    outside,
    shared: !(perCandidate && ranking),
    uses,
    input: feature.input,
    hidden: feature.hidden === true,
    image,
  };
}

function imageOf({ stages }: Encoder): ImageSettings | undefined {
  const last = stages.at(-1);
  return last?.stage === 'columns' ? last.image : undefined;
}

function placeOf(name: string, earlier: readonly CompiledFeature[]): number {
  const place = earlier.findIndex((other) => other.name === name);
  if (place < 0) throw new RangeError(`uses feature ${name}, which must come before it`);
  if (earlier[place]?.values !== 1)
    throw new RangeError(`uses feature ${name}, which has more than one value`);
  return place;
}

function allowedOf({ allowed }: Feature, type: RawType): ReadonlySet<unknown> | undefined {
  if (allowed === undefined) return undefined;
  if (type === 'texts' || type === 'image')
    throw new RangeError('allowed takes single values, not lists of texts or images');
  const wrong = allowed.find((value) => !isOfType(value, type));
  if (wrong !== undefined)
    throw new RangeError(`allowed names ${JSON.stringify(wrong)}, but the feature is a ${type}`);
  return new Set<unknown>(allowed);
}

function missingOf(feature: Feature, encoder: Encoder): RawValue | undefined {
  const { type } = encoder;
  const given = feature.missing;
  if (given === undefined) return undefined;
  if (type === 'number' && given === MISSING_NAN) {
    if (encoder.dtype !== 'float32' && encoder.dtype !== 'float64')
      throw new RangeError(`missing is .nan, which ${encoder.dtype} cannot hold`);
    return Number.NaN;
  }
  if (type === 'image') {
    if (given !== 0) throw new RangeError('missing of an image must be 0: a tensor of zeros');
    return new Float32Array(encoder.width);
  }
  const value = type === 'texts' && typeof given === 'string' ? (given === '' ? [] : [given]) : given;
  if (!isOfType(value, type))
    throw new RangeError(`missing is ${JSON.stringify(given)}, but the feature is a ${type}`);
  if (!encodeValues(encoder, [value]))
    throw new RangeError(`missing becomes a number that ${encoder.dtype} cannot hold`);
  return value;
}
