import { FEATURE_STATUS } from '@hotloop/model/features/feature-status.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';

/** Effective number of rows for the share of missing values, which is an exponential mean. */
const MEMORY_ROWS = 1000;
/** With fewer rows the share is not significant. */
const LEAST_ROWS = 100;

/** Statuses of values that were replaced because no usable value was available. */
const IS_MISSING: ReadonlySet<number> = new Set([
  FEATURE_STATUS.MISSING,
  FEATURE_STATUS.STALE,
  FEATURE_STATUS.DEGRADED,
]);

interface Watched {
  readonly index: number;
  readonly most: number;
  /** The mark in the answer. */
  readonly mark: string;
  share: number;
  rows: number;
}

/**
 * Checks the features of one version against `quality.max_missing`, over the rows of its latest predictions on this
 * node. Nothing is rejected because of it: the source is at fault, which no caller can fix.
 */
export class MissingShares {
  readonly #watched: Watched[];
  readonly #features: number;

  constructor(manifest: Manifest) {
    this.#features = manifest.features.length;
    this.#watched = manifest.features.flatMap(({ name, quality }, index) =>
      quality?.max_missing === undefined
        ? []
        : [{ index, most: quality.max_missing, mark: `missing:${name}`, share: 0, rows: 0 }],
    );
  }

  /**
   * Counts the rows of a prediction, rows x features; returns `missing:FEATURE` for each feature whose share is above
   * its limit.
   */
  record(statuses: Uint8Array): readonly string[] {
    if (this.#watched.length === 0) return NONE;
    const over: string[] = [];
    for (const watched of this.#watched) {
      for (let at = watched.index; at < statuses.length; at += this.#features) {
        watched.rows++;
        // A plain mean until the memory is full.
        const weight = 1 / Math.min(watched.rows, MEMORY_ROWS);
        watched.share += weight * (Number(IS_MISSING.has(statuses[at] as number)) - watched.share);
      }
      if (watched.rows >= LEAST_ROWS && watched.share > watched.most) over.push(watched.mark);
    }
    return over;
  }
}

const NONE: readonly string[] = [];
