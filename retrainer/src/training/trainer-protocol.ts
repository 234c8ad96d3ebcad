import type { TrainingMetrics, TrainingProgress } from './train.ts';

/** The files in the training process's directory: it reads the first three and writes the last. */
export const trainerFiles = {
  model: 'model.onnx',
  dataset: 'dataset.bin',
  settings: 'settings.json',
  trained: 'trained.onnx',
  /** Written by the process now and then, and given to another to go on from. */
  checkpoint: 'checkpoint.bin',
  resume: 'resume.bin',
} as const;

/** What the training process says while it works. */
export type TrainerProgress = TrainingProgress | { readonly checkpoint: true };

/** What the training process says once the trained model is written. */
export interface TrainerDone {
  readonly metrics: TrainingMetrics;
  /** Of the file it wrote, in hex. */
  readonly sha256: string;
}
