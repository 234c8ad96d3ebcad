import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { DatasetPart } from '../datasets/dataset.ts';
import { cellBlocks, cellsOfRows } from '../training/feature-cells.ts';

const LEAST_ROWS = 20;

/**
 * Why nothing can be learnt from these rows: too few, one class, all-equal labels or constant columns, with the count and what is
 * missing; null where there is something to learn. Pure.
 */
export function nothingToLearn(
  manifest: Manifest,
  part: Pick<DatasetPart, 'rows' | 'columns' | 'labels' | 'features'>,
): string | null {
  const { rows, columns, labels } = part;
  if (rows < LEAST_ROWS) return `there are ${rows} rows to learn from; at least ${LEAST_ROWS} are needed`;
  if (labels.every((label) => label === labels[0]))
    return manifest.task === 'regression'
      ? `all ${rows} labels are ${labels[0]}; rows with another label are missing`
      : `all ${rows} rows to learn from have one class (label ${labels[0]}); rows of another are missing`;
  return varies(part)
    ? null
    : `all ${columns} columns are constant in ${rows} rows; rows that differ are missing`;
}

function varies(part: Pick<DatasetPart, 'rows' | 'columns' | 'features'>): boolean {
  const first = cellsOfRows(part, [0]);
  for (const { cells } of cellBlocks(part))
    if (cells.some((value, index) => !isSame(value, first[index % part.columns]!))) return true;
  return false;
}

/** NaN, a missing value, is the same as NaN. */
function isSame(a: number, b: number): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b));
}
