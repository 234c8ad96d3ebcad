import type { Dtype, Feature } from './feature-schema.ts';
import type { RawType } from './raw-value.ts';
import { transformKindOf } from './registry.ts';
import type { Before, Stage } from './transforms/transform-kind.ts';

/** The compiled chain of one feature's transforms. */
export interface Encoder {
  readonly type: RawType;
  readonly stages: readonly Stage[];
  /** Number of columns for one value. */
  readonly width: number;
  /** Shape of the tensor for one value, without the row dimension; undefined: `width` numbers in a row. */
  readonly shape: readonly number[] | undefined;
  readonly dtype: Dtype;
  /** Output of the last stage: columns that it wrote itself, numbers, or raw texts. */
  readonly leaves: 'columns' | 'numbers' | 'raw';
}

/**
 * Compiles a feature's transforms for values of `sourceType`, or of the declared type, or of the type that the first
 * transform reads. Throws RangeError with the reason when they do not fit together or do not fit the type.
 */
export function compileEncoder(feature: Feature, sourceType: RawType | undefined): Encoder {
  const [first] = feature.transform;
  const natural = first === undefined ? naturalType(feature.dtype) : transformKindOf(first).typeBefore(first);
  const type = sourceType ?? feature.type ?? natural;
  if (feature.type !== undefined && feature.type !== type)
    throw new RangeError(`${feature.from} gives ${type}, not ${feature.type}`);
  let before: Before = type;
  let whole = false;
  let end: Extract<Stage, { stage: 'columns' }> | undefined;
  const stages = feature.transform.map((entry) => {
    const kind = transformKindOf(entry);
    if (end !== undefined) throw new RangeError(`${lastName(feature)} must be the last transform`);
    const stage = kind.compile(entry, before);
    if (stage.stage === 'columns') end = stage;
    whole = stage.stage === 'encode' && stage.whole;
    before = 'numbers';
    return stage;
  });
  if (end !== undefined) {
    const dtype = feature.dtype ?? 'float32';
    if (dtype !== 'float32') throw new RangeError(`${lastName(feature)} makes float32 columns, not ${dtype}`);
    return { type, stages, width: end.width, shape: end.shape, dtype, leaves: 'columns' };
  }
  const rest = { type, stages, width: 1, shape: undefined };
  if (stages.length === 0 && (type === 'text' || type === 'texts')) {
    if (type === 'text' && (feature.dtype ?? (feature.input && 'string')) === 'string')
      return { ...rest, dtype: 'string', leaves: 'raw' };
    throw new RangeError(
      'a text is not a number; its first transform must be one_hot, hash, text, id or time, or set `input` to an ONNX input of texts',
    );
  }
  const dtype = feature.dtype ?? (whole && idEnds(feature) ? 'int64' : 'float32');
  if (dtype === 'string') throw new RangeError('a number is not a text; dtype must be a numeric type');
  return { ...rest, dtype, leaves: 'numbers' };
}

/** Only `id` is an index by itself; `hash` stays a float column unless `dtype` says otherwise. */
function idEnds(feature: Feature): boolean {
  return lastName(feature) === 'id';
}

function lastName(feature: Feature): string {
  const wide = feature.transform.find(
    (entry) => typeof entry === 'object' && !['standardize', 'scale', 'clip'].some((name) => name in entry),
  );
  return transformKindOf(wide ?? feature.transform.at(-1)).name;
}

function naturalType(dtype: Dtype | undefined): RawType {
  if (dtype === 'string') return 'text';
  return dtype === 'bool' ? 'flag' : 'number';
}
