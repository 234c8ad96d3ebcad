import { FEATURE_STATUS } from '@hotloop/model/features/feature-status.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';

/** Rows that the share of missing values is taken over: an exponential mean of about so many. */
const MEMORY_ROWS = 1000;
/** Fewer rows say nothing of a share. */
const LEAST_ROWS = 100;

/** Statuses of values that are not the value itself because there was none that could be used. */
const IS_MISSING: ReadonlySet<number> = new Set([
  FEATURE_STATUS.MISSING,
  FEATURE_STATUS.STALE,
  FEATURE_STATUS.DEGRADED,
]);

interface Watched {
  readonly index: number;
  readonly most: number;
  /** What an answer is marked with. */
  readonly mark: string;
  share: number;
  rows: number;
}

/**
 * Holds the features of one version to `quality.max_missing`, over the rows of its latest predictions on this node. Nothing is refused for
 * it: what is missing is a fault of the source, and no caller can mend that.
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

  /** Counts the rows of a prediction, rows x features; answers `missing:FEATURE` for each whose share is above its limit. */
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
