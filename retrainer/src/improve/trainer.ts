import type { scoreInProcess } from '../training/evaluator-process.ts';
import type { trainInProcess } from '../training/trainer-process.ts';

/** Where models are trained and scored: in child processes. */
export interface Trainer {
  readonly train: typeof trainInProcess;
  readonly score: typeof scoreInProcess;
}

/** Callbacks and signal of a run. */
export interface RetrainHooks {
  /** 0 to 1. */
  readonly onProgress: (progress: number, message: string) => void;
  /** One value of a curve, such as the loss at a step. */
  readonly onCurve?: (name: string, step: number, value: number | null) => void;
  readonly signal: AbortSignal;
  /** Stores a checkpoint. */
  readonly onCheckpoint?: (bytes: Uint8Array) => Promise<void>;
  /** A checkpoint to resume from. */
  readonly resume?: Uint8Array;
}
