import { z } from '@hotloop/platform/config.ts';

export const BATCH_STATES = ['planning', 'running', 'finishing', 'done', 'failed', 'cancelled'] as const;
export type BatchState = (typeof BATCH_STATES)[number];

/** The part numbers of what is not a part of the rows. */
export const PLANNING = -1;
export const FINISH = -2;

export const batchOptionsSchema = z.strictObject({
  keep: z
    .array(z.string())
    .optional()
    .describe('Columns of the source that the result keeps; default: all that are no features'),
  overwrite: z.boolean().default(false),
  part_rows: z.int().min(1000).max(10_000_000).default(250_000),
  log: z
    .boolean()
    .default(false)
    .describe(
      'Predict by the front door: each row has a prediction_id, is logged, and outcomes can be joined to it',
    ),
  append: z
    .boolean()
    .default(false)
    .describe('Add to what a Postgres table or a topic holds; rows of an earlier run stay'),
  as_of: z
    .string()
    .optional()
    .describe(
      'Features of history and reference data as of this time (RFC 3339), or of the time in this column of each row',
    ),
});
export type BatchOptions = z.output<typeof batchOptionsSchema>;

/**
 * How rows are answered: `fused` by whole columns, `front-door` one request at a time by the front door, `as-of` in the worker with
 * features as of a time.
 */
export type BatchMode = 'fused' | 'front-door' | 'as-of';

/** Where the rows lie after planning. */
export interface BatchPlan {
  readonly mode: BatchMode;
  /** Parquet files, read in this order as one table. */
  readonly files: readonly string[];
  /** Of the files that the source named: what must not change while the run lasts. */
  readonly fingerprints: readonly Fingerprint[];
  readonly rows: number;
}

export interface Fingerprint {
  readonly path: string;
  readonly bytes: number;
  readonly modifiedNs: string;
}

export interface BatchRun {
  readonly runId: string;
  readonly model: string;
  readonly version: number;
  readonly source: string;
  readonly sink: string;
  readonly options: BatchOptions;
  readonly schedule: string | null;
  readonly state: BatchState;
  readonly message: string;
  readonly datasetSha256: string | null;
  readonly plan: BatchPlan | null;
  readonly rows: number | null;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

export interface BatchProgress {
  readonly parts: number;
  readonly partsDone: number;
  readonly accepted: number;
  readonly refused: number;
}

/** One claimed piece of work. Only the newest token of a part may end it. */
export interface BatchClaim {
  readonly run: BatchRun;
  readonly part: number;
  readonly token: number;
  readonly firstRow: number;
  readonly endRow: number;
}

export function isEnded(state: BatchState): boolean {
  return state === 'done' || state === 'failed' || state === 'cancelled';
}
