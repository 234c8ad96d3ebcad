import { columnKeys } from '@hotloop/model/manifest/column-keys.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { DatasetPart } from '../datasets/dataset.ts';
import { cellBlocks } from '../training/feature-cells.ts';

/** Held-out rows that share a value of a feature. */
export interface Slice {
  /** Such as `country = IT`, or `price 10 to 20`. */
  readonly name: string;
  readonly rows: readonly number[];
}

/** Numbers of a feature that has more are divided at their quartiles; of more texts, the rarer are one slice. */
const MOST_VALUES = 12;

/**
 * The rows divided by the values of one feature: by category where it is one_hot, by text where it is one, by value where it
 * has few, else at the quartiles. Throws INVALID_ARGUMENT for a feature that the manifest does not have.
 */
export function sliceRows(manifest: Manifest, feature: string, part: DatasetPart): Slice[] {
  const { features, inputs } = columnsOf(manifest);
  const place = features.find(({ name }) => name === feature);
  if (!place || place.width === 0)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `training.gate.slices: ${JSON.stringify(feature)} is no feature of model ${manifest.name}`,
      { reason: 'invalid_manifest' },
    );
  const { offset, width, input } = place;
  const cells = columnsBetween(part, offset, width);
  const at = (row: number, column: number) => cells[row * width + column]!;
  const categories = columnKeys(manifest)
    .filter((key) => key.feature === feature)
    .map(({ category }) => category);
  const all = Array.from({ length: part.rows }, (_, row) => row);
  if (width > 1 || categories[0] !== null)
    return grouped(all, feature, (row) => {
      for (let column = 0; column < width; column++)
        if (at(row, column) > 0.5) return `= ${categories[column] ?? column}`;
      return '= other';
    });
  const { texts } = part;
  if (texts && inputs.find(({ name }) => name === input)?.dtype === 'string') {
    const byText = Map.groupBy(all, (row) => texts[at(row, 0)] ?? '');
    const commonest = [...byText].sort(([, a], [, b]) => b.length - a.length).slice(0, MOST_VALUES);
    const named = new Set(commonest.map(([one]) => one));
    return grouped(all, feature, (row) => {
      const own = texts[at(row, 0)] ?? '';
      return named.has(own) ? `= ${own.slice(0, MOST_TEXT)}` : '= other';
    });
  }
  const known = all.map((row) => at(row, 0)).filter((value) => !Number.isNaN(value));
  if (new Set(known).size <= MOST_VALUES) return grouped(all, feature, (row) => `= ${text(at(row, 0))}`);
  const sorted = known.sort((a, b) => a - b);
  const edges = [0.25, 0.5, 0.75].map((share) => sorted[Math.floor(share * sorted.length)]!);
  return grouped(all, feature, (row) => {
    const value = at(row, 0);
    if (Number.isNaN(value)) return '= missing';
    const quartile = edges.filter((edge) => value >= edge).length;
    return `${text(edges[quartile - 1] ?? sorted[0]!)} to ${text(edges[quartile] ?? sorted.at(-1)!)}`;
  });
}

/** The cells of some columns that follow one another, [rows, width]. */
function columnsBetween(part: DatasetPart, offset: number, width: number): Float32Array {
  const found = new Float32Array(part.rows * width);
  for (const { from, rows, cells } of cellBlocks(part))
    for (let row = 0; row < rows; row++) {
      const start = row * part.columns + offset;
      found.set(cells.subarray(start, start + width), (from + row) * width);
    }
  return found;
}

function grouped(rows: readonly number[], feature: string, labelOf: (row: number) => string): Slice[] {
  return [...Map.groupBy(rows, labelOf)].map(([value, members]) => ({
    name: `${feature} ${value}`,
    rows: members,
  }));
}

/** Characters of a text that its slice is named by. */
const MOST_TEXT = 40;

const text = (value: number): string =>
  Number.isNaN(value) ? 'missing' : String(Number(value.toPrecision(4)));
