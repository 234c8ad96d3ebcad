import type { Verdict } from './judge-versions.ts';

/** The last line of a non-interactive run. Every number was measured in this run. */
export interface DemoResult {
  readonly ok: boolean;
  /** Answered predictions: the traffic's and those for evaluating the versions. */
  readonly predictions: number;
  readonly failed: number;
  /** Distinct prediction ids in Postgres. */
  readonly logged: number;
  /** Outcome reports in Postgres. */
  readonly outcomes: number;
  readonly versions: readonly Verdict[];
  readonly swap: SwapReport | null;
  readonly elapsed_s: number;
  /** Which goal was missed; only when not ok. */
  readonly reason?: string;
}

export interface SwapReport {
  readonly from: number;
  readonly to: number;
  readonly failed_during: number;
  /** Before the training. */
  readonly p50_ms_steady: number;
  readonly p99_ms_steady: number;
  readonly p99_ms_training: number;
  /** From the promotion until shortly after the first answer of the new version. */
  readonly p99_ms_during: number;
}

/** The measurements, before they are compared with the goals. */
export interface Measured {
  readonly predictions: number;
  readonly failed: number;
  readonly logged: number;
  readonly outcomes: number;
  readonly verdicts: readonly Verdict[];
  readonly swap: SwapReport | null;
  /** Answered predictions per second through the swap. */
  readonly perSecondDuring: number;
  readonly elapsedMs: number;
  /** Why the loop could not be completed, if it could not. */
  readonly problem: string | undefined;
}

export const LEAST_PER_SECOND = 200;

/** Compares a run with the goals of the demonstration. */
export function demoResult(measured: Measured): DemoResult {
  const reason = measured.problem ?? shortfall(measured);
  return {
    ok: reason === undefined,
    predictions: measured.predictions,
    failed: measured.failed,
    logged: measured.logged,
    outcomes: measured.outcomes,
    versions: measured.verdicts.map(({ version, auc }) => ({ version, auc: round(auc, 4) })),
    swap: measured.swap && {
      ...measured.swap,
      p50_ms_steady: round(measured.swap.p50_ms_steady, 2),
      p99_ms_steady: round(measured.swap.p99_ms_steady, 2),
      p99_ms_training: round(measured.swap.p99_ms_training, 2),
      p99_ms_during: round(measured.swap.p99_ms_during, 2),
    },
    elapsed_s: round(measured.elapsedMs / 1000, 1),
    ...(reason === undefined ? {} : { reason }),
  };
}

function shortfall(measured: Measured): string | undefined {
  const { failed, logged, predictions, outcomes, verdicts, swap, perSecondDuring } = measured;
  if (swap === null) return 'no version was swapped in';
  if (failed > 0) return `${failed} predictions failed`;
  if (swap.failed_during > 0) return `${swap.failed_during} predictions failed during the swap`;
  if (logged !== predictions) return `${predictions} predictions were answered, and ${logged} are logged`;
  if (outcomes === 0) return 'no outcome was recorded';
  const [before, after] = verdicts;
  if (!before || !after || !(after.auc > before.auc))
    return 'the new version is not better on later sessions';
  if (perSecondDuring < LEAST_PER_SECOND)
    return `${round(perSecondDuring, 0)} predictions per second through the swap; ${LEAST_PER_SECOND} are promised`;
  return undefined;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
