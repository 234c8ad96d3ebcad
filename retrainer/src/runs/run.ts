import type { GateVerdict } from '../improve/gate.ts';
import type { RunState } from './run-state.ts';

/** The row of a training run. Times are milliseconds since 1970. */
export interface TrainingRun {
  readonly runId: string;
  readonly model: string;
  readonly key: string;
  readonly reason: string;
  /** Registers the version but does not promote it. */
  readonly hold: boolean;
  /** A trial of a search is never registered; `first` created a first version from a file. */
  readonly kind: 'retrain' | 'trial' | 'first';
  /** Groups runs that belong together; may be empty. */
  readonly experiment: string;
  /** Settings of the request that replace those of model.yaml. */
  readonly overrides: Readonly<Record<string, unknown>>;
  /** The complete training settings; empty before training. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly hardware: Readonly<Record<string, unknown>>;
  readonly state: RunState;
  readonly message: string;
  /** The fencing token: a write with an older one changes nothing. It also counts the attempts. */
  readonly token: number;
  readonly parentVersion: number | null;
  readonly version: number | null;
  readonly datasetSha256: string | null;
  readonly examples: number;
  /** 0 to 1 within training. */
  readonly progress: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly gate: GateVerdict | null;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

/** Fields that a step may write besides the state. */
export interface RunChange {
  readonly message?: string;
  readonly parentVersion?: number;
  readonly version?: number;
  readonly datasetSha256?: string;
  readonly examples?: number;
  readonly progress?: number;
  readonly metrics?: Readonly<Record<string, number>>;
  readonly gate?: GateVerdict;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly hardware?: Readonly<Record<string, unknown>>;
}
