import { FEATURE_STATUS } from '@hotloop/model/features/feature-status.ts';
import { type RowInput, rowInputs } from '@hotloop/model/features/flat-rows.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import {
  restoreSketch,
  type StoredSketch,
  storeSketch,
  ValueSketch,
} from '@hotloop/model/statistics/value-sketch.ts';

/** number: quantiles of one column. category: how often each one_hot column is 1. wide: tokens, by folded column. */
export type FeatureKind = 'number' | 'category' | 'wide';

/** The columns of a feature in the logged rows, and how it is summarised. */
export interface SketchedFeature {
  readonly name: string;
  readonly kind: FeatureKind;
  readonly offset: number;
  readonly width: number;
  /** Its values are hashes of texts, so they can only be compared for equality. */
  readonly isText?: boolean;
  /** Names of the one_hot categories, as in the manifest. */
  readonly categories: readonly string[];
  /** The source of the values, such as `history.user.view`; features with a common cause share it. */
  readonly source: string;
}

export interface SketchLayout {
  /** Number of columns of a row, all inputs together. */
  readonly width: number;
  readonly inputs: readonly RowInput[];
  /** True if the log contains plain rows; otherwise it contains one tensor per input. */
  readonly isMatrix: boolean;
  readonly features: readonly SketchedFeature[];
}

/** Tokens of a wide feature are folded into this many counts. */
export const WIDE_BUCKETS = 256;

/** The plan for summarising a version's logged rows. */
export function sketchLayout(manifest: Manifest): SketchLayout {
  const columns = columnsOf(manifest);
  return {
    width: columns.width,
    inputs: rowInputs(columns, manifest.input),
    isMatrix: columns.isMatrix,
    features: columns.features.map(({ name, offset, width, input }, index) => {
      const feature = manifest.features[index]!;
      const step = feature.transform.find((one) => typeof one === 'object' && 'one_hot' in one);
      const names = typeof step === 'object' && 'one_hot' in step ? step.one_hot.map(String) : [];
      const isCategory = names.length === width && width > 0;
      return {
        name,
        offset,
        width,
        ...(columns.inputs.find((one) => one.name === input)?.dtype === 'string' ? { isText: true } : {}),
        kind: isCategory ? 'category' : width <= 1 ? 'number' : 'wide',
        categories: isCategory ? names : [],
        source: feature.from
          .split('.')
          .slice(0, feature.from.startsWith('history.') ? 3 : 2)
          .join('.'),
      } as const;
    }),
  };
}

const STATUSES = Object.keys(FEATURE_STATUS).length;

/** Summary of one feature in one span of time. Merging two parts gives exactly the sketch of the whole. */
export class FeatureSketch {
  readonly kind: FeatureKind;
  rows = 0;
  /** Rows by FEATURE_STATUS code. */
  readonly statuses = new Float64Array(STATUSES);
  /** The present values of a number. */
  values = new ValueSketch();
  /** Rows by category, with rows of no category last; or tokens by folded column. */
  categories: Float64Array;

  constructor(kind: FeatureKind, width: number) {
    this.kind = kind;
    this.categories = new Float64Array(
      kind === 'category' ? width + 1 : kind === 'wide' ? Math.min(width, WIDE_BUCKETS) : 0,
    );
  }

  /** The share of rows in which the feature is not present. */
  get missingShare(): number {
    const { MISSING, STALE, DEGRADED } = FEATURE_STATUS;
    const absent = this.statuses[MISSING]! + this.statuses[STALE]! + this.statuses[DEGRADED]!;
    return this.rows === 0 ? 0 : absent / this.rows;
  }

  get missing(): number {
    return Math.round(this.missingShare * this.rows);
  }

  get outOfRange(): number {
    const { OUT_OF_RANGE, CLIPPED, DEFAULTED } = FEATURE_STATUS;
    return this.statuses[OUT_OF_RANGE]! + this.statuses[CLIPPED]! + this.statuses[DEFAULTED]!;
  }

  get present(): number {
    return this.rows - this.missing;
  }

  merge(other: FeatureSketch): void {
    this.rows += other.rows;
    for (let code = 0; code < STATUSES; code++) this.statuses[code]! += other.statuses[code]!;
    this.values.merge(other.values);
    if (this.categories.length < other.categories.length) {
      const wider = new Float64Array(other.categories.length);
      wider.set(this.categories);
      this.categories = wider;
    }
    for (let index = 0; index < other.categories.length; index++)
      this.categories[index]! += other.categories[index]!;
  }
}

/** A block of logged rows, row major. */
export interface LoggedRows {
  readonly rows: number;
  readonly columns: number;
  readonly features: Float32Array;
  /** rows x features; empty if they were not logged: then every value counts as present. */
  readonly statuses: Uint8Array;
}

export type FeatureSketches = Map<string, FeatureSketch>;

/** Adds rows to the sketches of their features; rows with another width are skipped. */
export function addRows(sketches: FeatureSketches, layout: SketchLayout, block: LoggedRows): void {
  if (block.columns !== layout.width || block.rows === 0) return;
  const hasStatuses = block.statuses.length === block.rows * layout.features.length;
  for (const [index, feature] of layout.features.entries()) {
    let sketch = sketches.get(feature.name);
    if (!sketch) {
      sketch = new FeatureSketch(feature.kind, feature.width);
      sketches.set(feature.name, sketch);
    }
    sketch.rows += block.rows;
    const allPresent = countStatuses(sketch, block, index, layout.features.length, hasStatuses);
    if (feature.width === 0) continue;
    if (feature.kind === 'number' && allPresent)
      sketch.values.addColumn(block.features, feature.offset, block.columns);
    else if (feature.kind === 'number')
      sketch.values.addColumn(presentValues(block, feature.offset, index, layout.features.length));
    else addCategories(sketch, feature, block, hasStatuses ? index : -1, layout.features.length);
  }
}

function countStatuses(
  sketch: FeatureSketch,
  { rows, statuses }: LoggedRows,
  index: number,
  features: number,
  hasStatuses: boolean,
): boolean {
  if (!hasStatuses) {
    sketch.statuses[FEATURE_STATUS.FRESH]! += rows;
    return true;
  }
  let present = 0;
  for (let row = 0; row < rows; row++) {
    const status = statuses[row * features + index]!;
    if (status < STATUSES) sketch.statuses[status]!++;
    if (status === FEATURE_STATUS.FRESH) present++;
  }
  return present === rows;
}

function presentValues(block: LoggedRows, offset: number, index: number, features: number): Float32Array {
  const values = new Float32Array(block.rows);
  let count = 0;
  for (let row = 0; row < block.rows; row++)
    if (isPresent(block.statuses[row * features + index]!))
      values[count++] = block.features[row * block.columns + offset]!;
  return values.subarray(0, count);
}

/** A value out of range was clipped or replaced, but it was present. */
const isPresent = (status: number): boolean =>
  status === FEATURE_STATUS.FRESH ||
  status === FEATURE_STATUS.OUT_OF_RANGE ||
  status === FEATURE_STATUS.CLIPPED;

function addCategories(
  sketch: FeatureSketch,
  { kind, offset, width }: SketchedFeature,
  block: LoggedRows,
  index: number,
  features: number,
): void {
  const counts = sketch.categories;
  for (let row = 0; row < block.rows; row++) {
    if (index >= 0 && !isPresent(block.statuses[row * features + index]!)) continue;
    const start = row * block.columns + offset;
    let matched = false;
    for (let column = 0; column < width; column++) {
      if (block.features[start + column] === 0) continue;
      counts[kind === 'category' ? column : column % counts.length]!++;
      matched = true;
      if (kind === 'category') break;
    }
    if (!matched && kind === 'category') counts[width]!++;
  }
}

export interface StoredFeatureSketch {
  readonly kind: FeatureKind;
  readonly rows: number;
  readonly statuses: readonly number[];
  readonly values?: StoredSketch;
  readonly categories?: readonly number[];
}

export function storeFeatureSketch(sketch: FeatureSketch): StoredFeatureSketch {
  return {
    kind: sketch.kind,
    rows: sketch.rows,
    statuses: [...sketch.statuses],
    ...(sketch.kind === 'number'
      ? { values: storeSketch(sketch.values) }
      : { categories: [...sketch.categories] }),
  };
}

export function restoreFeatureSketch(stored: StoredFeatureSketch): FeatureSketch {
  const sketch = new FeatureSketch(stored.kind, 0);
  sketch.rows = stored.rows;
  sketch.statuses.set(stored.statuses);
  if (stored.values) sketch.values = restoreSketch(stored.values);
  sketch.categories = Float64Array.from(stored.categories ?? []);
  return sketch;
}

/**
 * The baseline of a dataset: the sketches of its columns. Pure.
 *
 * @param features rows x columns, float32, as served.
 * @param statuses rows x features; empty if unknown.
 */
export function baselineOf(
  manifest: Manifest,
  features: Float32Array,
  rows: number,
  statuses: Uint8Array = new Uint8Array(0),
): FeatureSketches {
  const layout = sketchLayout(manifest);
  const sketches: FeatureSketches = new Map();
  addRows(sketches, layout, { rows, columns: layout.width, features, statuses });
  return sketches;
}
