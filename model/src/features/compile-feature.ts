import { durationMs } from '../manifest/duration.ts';
import { compileEncoder, type Encoder, type RawType } from './encoder.ts';
import type { Feature } from './feature-schema.ts';
import { type FeatureSource, parseFeatureSource } from './feature-source.ts';

/** A feature of a plan, with everything about it that does not depend on the request. */
export interface CompiledFeature {
  readonly name: string;
  /** The source as the manifest writes it, for messages. */
  readonly from: string;
  readonly source: FeatureSource;
  readonly encoder: Encoder;
  /** First column and number of columns: the encoder's width, times N for last(N). */
  readonly offset: number;
  readonly width: number;
  /** Values that make the columns: N for last(N), otherwise 1. */
  readonly values: number;
  /** Columns of one value when it is absent; undefined: the feature is required. */
  readonly missing: Float32Array | undefined;
  /** Raw numbers outside are refused. */
  readonly low: number;
  readonly high: number;
  /** The same for every candidate. */
  readonly shared: boolean;
  /** Infinity: as far back as the history goes. */
  readonly windowMs: number;
  readonly maxAgeMs: number;
}

/** Throws RangeError with the reason when a feature's parts do not fit together. */
export function compileFeature(
  feature: Feature,
  columns: { offset: number; width: number },
  ranking: boolean,
): CompiledFeature {
  const source = parseFeatureSource(feature.from);
  const perCandidate = source.kind === 'item' || ('entity' in source && source.entity === 'item');
  if (source.kind === 'item' && !ranking) throw new RangeError(`${feature.from} needs task ranking`);
  if (source.kind !== 'history' && (feature.window !== undefined || feature.max_age !== undefined))
    throw new RangeError('window and max_age belong to a history source');
  const encoder = compileEncoder(feature, typeOfSource(source));
  const values = source.kind === 'history' && source.function.kind === 'last' ? source.function.count : 1;
  if (values * encoder.width !== columns.width)
    throw new RangeError(`makes ${values * encoder.width} columns where ${columns.width} are laid out`);
  if (feature.range !== undefined) {
    if (encoder.type !== 'number') throw new RangeError(`range needs a number, not ${encoder.type}`);
    if (feature.range[0] > feature.range[1]) throw new RangeError('range needs its smaller end first');
  }
  return {
    name: feature.name,
    from: feature.from,
    source,
    encoder,
    offset: columns.offset,
    width: columns.width,
    values,
    missing: missingColumns(feature, encoder),
    low: feature.range?.[0] ?? Number.NEGATIVE_INFINITY,
    high: feature.range?.[1] ?? Number.POSITIVE_INFINITY,
    shared: !(perCandidate && ranking),
    windowMs: feature.window === undefined ? Number.POSITIVE_INFINITY : durationMs(feature.window),
    maxAgeMs: feature.max_age === undefined ? Number.POSITIVE_INFINITY : durationMs(feature.max_age),
  };
}

/** The type that a source always gives; undefined where the feature itself decides. */
function typeOfSource(source: FeatureSource): RawType | undefined {
  if (source.kind === 'entity') return 'text';
  if (source.kind === 'history' && source.function.kind !== 'last') return 'number';
  return undefined;
}

function missingColumns(feature: Feature, encoder: Encoder): Float32Array | undefined {
  const value = feature.missing;
  if (value === undefined) return undefined;
  if (!isOfType(value, encoder.type))
    throw new RangeError(`missing is ${JSON.stringify(value)}, but the feature is a ${encoder.type}`);
  const columns = new Float32Array(encoder.width);
  if (!encoder.encode(value, columns, 0))
    throw new RangeError(`missing becomes a number that float32 cannot hold`);
  return columns;
}

/** Whether a raw value is what a type asks for: number for number, string for text, boolean for flag. */
export function isOfType(value: unknown, type: RawType): boolean {
  switch (type) {
    case 'number':
      return typeof value === 'number';
    case 'text':
      return typeof value === 'string';
    case 'flag':
      return typeof value === 'boolean';
  }
}
