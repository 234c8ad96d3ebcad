import type { TrainingMetrics, TrainingProgress } from './train.ts';

/** The files in the training process's directory: it reads the first three and writes the last. */
export const trainerFiles = {
  model: 'model.onnx',
  dataset: 'dataset.bin',
  settings: 'settings.json',
  trained: 'trained.onnx',
  /** The process writes it every few seconds; a later process gets it as `resume`. */
  checkpoint: 'checkpoint.bin',
  resume: 'resume.bin',
} as const;

/** Messages of the training process while it runs. */
export type TrainerProgress = TrainingProgress | { readonly checkpoint: true };

/** The last message of the training process, after the trained model was written. */
export interface TrainerDone {
  readonly metrics: TrainingMetrics;
  /** Of the file it wrote, in hex. */
  readonly sha256: string;
  /** Most memory that the process had, in MB. */
  readonly peakMb: number;
}
