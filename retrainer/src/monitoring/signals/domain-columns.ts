import { columnKeys } from '@hotloop/model/manifest/column-keys.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';

/** Columns that stand for one text or one index of an embedding, whose size means nothing. */
const FOLDS = 16;

/** How flat rows become the columns of a classifier. */
export interface DomainColumns {
  /** Columns of a flat row. */
  readonly from: number;
  /** A readable name for each column of the classifier: `price`, or `plan = pro`. Those of one text share its name. */
  readonly names: readonly string[];
  /** Rows of numbers without NaN, of `names.length` columns. Numbers that are missing as NaN count as 0. */
  of(features: Float32Array): Float64Array;
}

/**
 * Numbers stay as they are. A text, which is a hash here, and an index of an embedding become sixteen columns of which one
 * is 1: the classifier then sees which there are, and not how large their numbers are. Pure.
 */
export function domainColumns(manifest: Manifest): DomainColumns {
  const { features, inputs, width } = columnsOf(manifest);
  const isNamed = (feature: number) => {
    const { transform } = manifest.features[feature]!;
    return transform.some((step) => typeof step === 'object' && 'id' in step);
  };
  const folded = new Uint8Array(width);
  for (const [index, { offset, width: own, input }] of features.entries())
    if (inputs.find(({ name }) => name === input)?.dtype === 'string' || isNamed(index))
      folded.fill(1, offset, offset + own);
  const names = columnKeys(manifest).flatMap(({ feature, category }, at) =>
    new Array<string>(folded[at] ? FOLDS : 1).fill(category === null ? feature : `${feature} = ${category}`),
  );
  return {
    from: width,
    names,
    of(values) {
      const rows = values.length / width;
      const columns = new Float64Array(rows * names.length);
      let to = 0;
      for (let row = 0; row < rows; row++)
        for (let column = 0; column < width; column++) {
          const value = values[row * width + column]!;
          if (folded[column]) {
            columns[to + foldOf(value)] = 1;
            to += FOLDS;
          } else columns[to++] = Number.isFinite(value) ? value : 0;
        }
      return columns;
    },
  };
}

/** Neighbouring indices are spread (Knuth's multiplicative hash). */
const foldOf = (value: number): number => Math.imul(value, 0x9e3779b1) >>> 28;
