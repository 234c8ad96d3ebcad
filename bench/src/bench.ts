import type { DeviceEnvironment } from '@hotloop/compute/runner/device-environment.ts';
import type { Figure } from './figure.ts';

export interface BenchOptions {
  /** Interleaved rounds; medians are over these. */
  readonly rounds: number;
  /** Length of one side's turn in one round. */
  readonly seconds: number;
  /** `swap` alone: how many swaps, over how long. */
  readonly swaps: number;
  readonly minutes: number;
  /** `users` alone: how many are in the history. */
  readonly users: number;
  /** `features` alone: the folder of banking77; without it accuracy is not measured. */
  readonly data?: string | undefined;
  /** `feedback` alone: how many predictions the larger loop has; the smaller has a hundredth, and half as many are collected. */
  readonly predictions: number;
  /** `log` alone: for how long its lag is measured. */
  readonly lagSeconds: number;
  /** `batch`, `sql`, `spark`, `train`: how many rows; without it each has its own number. */
  readonly rows?: number | undefined;
  /** `train`: this part alone (`steps`, `serving`, `dataset`). */
  readonly only?: string;
  /** `providers` alone: the environment of its runners that names devices. */
  readonly devices: DeviceEnvironment;
  /** Folder for CPU profiles of the processes measured. */
  readonly profile?: string | undefined;
  /** One line for each step, for people who wait. */
  readonly say: (line: string) => void;
}

/** One benchmark: brings up both sides, measures them in turn, takes all down again. */
export type Bench = (options: BenchOptions) => Promise<Figure[]>;
