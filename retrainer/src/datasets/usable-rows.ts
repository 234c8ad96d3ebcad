import { compileFeatures } from '@hotloop/model/features/compile-feature.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';

/** `missing`: a value is missing, and this model's trainer needs numbers. `broken`: a value is no number for another reason. */
export type RowUse = 'usable' | 'missing' | 'broken';

/**
 * Tells which rows a model may be trained on. A missing value is NaN, in the columns of a feature that declares `missing: .nan`. A
 * program that training.trainer names gets such rows; fine-tuning needs numbers, so it does not.
 *
 * @returns a function of one row, [width of all inputs].
 */
export function rowUse(manifest: Manifest): (vector: Float32Array) => RowUse {
  const { width, features } = columnsOf(manifest);
  const takesMissing = manifest.training?.trainer !== undefined;
  const mayMiss = new Uint8Array(width);
  for (const [index, { takesNaN }] of compileFeatures(
    manifest.features,
    manifest.task === 'ranking',
  ).entries()) {
    const { offset, width: own } = features[index]!;
    if (takesNaN) mayMiss.fill(1, offset, offset + own);
  }
  return (vector) => {
    let use: RowUse = 'usable';
    for (let column = 0; column < vector.length; column++) {
      const value = vector[column]!;
      if (Number.isFinite(value)) continue;
      if (!Number.isNaN(value) || mayMiss[column] === 0) return 'broken';
      if (!takesMissing) use = 'missing';
    }
    return use;
  };
}

/** For the message of a run: rows that were left out because a value is missing. */
export function missingNote(rows: number, of = ''): string[] {
  if (rows === 0) return [];
  return [
    `${rows} rows${of} are not used: a value is missing (\`missing: .nan\`), which only a program of training.trainer can learn from; ` +
      'declare a number as the missing value',
  ];
}
