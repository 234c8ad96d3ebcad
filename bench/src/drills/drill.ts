import type { Figure } from '../figure.ts';

export interface DrillOptions {
  /** `log`: number of answered predictions; `parity`: at most 100,000. */
  readonly predictions: number;
  /** `batch`: rows of the run. */
  readonly rows: number;
  /** `log`: maximum predictions per second. */
  readonly rate: number;
  readonly kills: number;
  /** `promote`: number of points of a promotion at which something is killed. */
  readonly points: number;
  /** `log`: seconds for which Postgres is stopped. */
  readonly outage: number;
  /** `many`: models, their size in megabytes, the node's memory budget for them, and the duration of the load. */
  readonly models: number;
  readonly megabytes: number;
  readonly budget: number;
  readonly seconds: number;
  /** `monitoring`: simulated weeks for each number of calls. */
  readonly weeks: number;
  /** `monitoring`: seconds for which the receiver of alarms is down. */
  readonly down: number;
  /** `failures`: rows of the matrix, such as 1,5,9-12; `learning`, `chart`: only this part. */
  readonly only?: string;
  /** `soak`: the duration. */
  readonly hours: number;
  /** `upgrade`: the commit that is upgraded from. */
  readonly from?: string;
  /** `documents`, `learning`, `months`, `monitoring`, `movies`: the folder of its data. */
  readonly data?: string;
  /** `months`: where its charts are written; `newcomer`: its screenshots. */
  readonly pictures?: string;
  /** `rollout`: which parts, comma-separated; all when absent. */
  readonly parts?: string;
  readonly say: (line: string) => void;
  /** Environment of this process, for programs that are started as a user starts them. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** One drill: something is broken on purpose, and effects that must not happen are counted. */
export type Drill = (options: DrillOptions) => Promise<Figure[]>;
