import type { scoreInProcess } from '../training/evaluator-process.ts';
import type { trainInProcess } from '../training/trainer-process.ts';

/** Where models are trained and scored: in child processes. */
export interface Trainer {
  readonly train: typeof trainInProcess;
  readonly score: typeof scoreInProcess;
}

/** What a run is told, and tells, while it works. */
export interface RetrainHooks {
  /** 0 to 1. */
  readonly onProgress: (progress: number, message: string) => void;
  /** One value of a curve, such as the loss at a step. */
  readonly onCurve?: (name: string, step: number, value: number | null) => void;
  readonly signal: AbortSignal;
  /** Keeps what a training can go on from. */
  readonly onCheckpoint?: (bytes: Uint8Array) => Promise<void>;
  /** What it goes on from. */
  readonly resume?: Uint8Array;
}
