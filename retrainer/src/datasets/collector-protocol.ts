import type { CollectedFile, CollectRequest } from './collect-dataset.ts';

/** What the collecting process is told, as JSON in this file of its directory. */
export const REQUEST_FILE = 'request.json';
/** What it leaves there. */
export const DATASET_FILE = 'dataset.parquet';

export interface CollectorRequest extends CollectRequest {
  readonly databaseUrl: string;
}

export interface CollectorDone extends Omit<CollectedFile, 'path'> {
  readonly seconds: number;
  /** Most memory the process had, in MB. */
  readonly peakMb: number;
}
