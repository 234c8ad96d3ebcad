import type { Figure } from '../figure.ts';

export interface DrillOptions {
  /** `log`: how many answered predictions; `parity`: at most 100,000. */
  readonly predictions: number;
  /** `log`: predictions a second at most. */
  readonly rate: number;
  readonly kills: number;
  /** `promote`: at how many points of a promotion something is killed. */
  readonly points: number;
  /** `log`: for how many seconds Postgres is stopped. */
  readonly outage: number;
  /** `many`: models, their megabytes, the node's budget for them, and for how long they are asked. */
  readonly models: number;
  readonly megabytes: number;
  readonly budget: number;
  readonly seconds: number;
  /** `monitoring`: simulated weeks at each number of calls. */
  readonly weeks: number;
  /** `monitoring`: for how many seconds the receiver of alarms is away. */
  readonly down: number;
  /** `failures`: rows of the matrix, such as 1,5,9-12; `learning`: this part alone. */
  readonly only?: string;
  /** `soak`: for how long. */
  readonly hours: number;
  /** `upgrade`: the commit whose state is upgraded from. */
  readonly from?: string;
  /** `documents`, `learning`, `months`, `monitoring`, `movies`: the folder of its data. */
  readonly data?: string;
  /** `months`: where its charts are written; `newcomer`: its pictures. */
  readonly pictures?: string;
  /** `rollout`: which parts, comma-separated; all when absent. */
  readonly parts?: string;
  readonly say: (line: string) => void;
  /** Of this process; for programs that are started as a user starts them. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** One drill: something is broken on purpose, and the effects that must not happen are counted. */
export type Drill = (options: DrillOptions) => Promise<Figure[]>;
