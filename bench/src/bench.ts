import type { DeviceEnvironment } from '@hotloop/compute/runner/device-environment.ts';
import type { Figure } from './figure.ts';

export interface BenchOptions {
  /** Number of interleaved rounds; medians are taken over them. */
  readonly rounds: number;
  /** Duration of one side's turn in one round. */
  readonly seconds: number;
  /** `swap` only: number of swaps, and the duration. */
  readonly swaps: number;
  readonly minutes: number;
  /** `users` only: number of users in the history. */
  readonly users: number;
  /** `features` only: the folder of banking77; without it accuracy is not measured. */
  readonly data?: string | undefined;
  /**
   * `feedback` only: predictions in the larger loop; the smaller one has a hundredth, and half as many are collected.
   */
  readonly predictions: number;
  /** `log` only: how long the lag is measured. */
  readonly lagSeconds: number;
  /** `batch`, `sql`, `spark`, `train`: number of rows; each has its own default. */
  readonly rows?: number | undefined;
  /** `train`, `monitoring`: only this part. */
  readonly only?: string;
  /** `providers` only: environment of its runners that selects devices. */
  readonly devices: DeviceEnvironment;
  /** Folder for CPU profiles of the measured processes. */
  readonly profile?: string | undefined;
  /** Prints one line per step, to show progress. */
  readonly say: (line: string) => void;
}

/** One benchmark: starts both sides, measures them alternately, stops everything. */
export type Bench = (options: BenchOptions) => Promise<Figure[]>;
