/**
 * The files of the scoring process, in its own directory: it reads a dataset, a job and `models` model files, and writes one
 * file of scores for each model.
 */
export const evaluatorFiles = {
  dataset: 'dataset.bin',
  job: 'job.json',
  model: (index: number) => `model-${index}.onnx`,
  scores: (index: number) => `scores-${index}.bin`,
} as const;

export interface EvaluatorJob {
  readonly models: number;
  /** The output to read; the first when absent. */
  readonly output?: string;
}

/** What the scoring process says of each model once all scores are written. */
export type EvaluatorDone = readonly {
  /** Of one row's outputs. */
  readonly rowShape: readonly number[];
  /** Median time of one batch; null for a model that was scored alone. */
  readonly milliseconds: number | null;
}[];
