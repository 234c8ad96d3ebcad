import type { GateSpec, Metric } from '@hotloop/model/manifest/gate-schema.ts';
import type { TrainableTask } from '@hotloop/model/training/trainable-task.ts';

export const LARGER_IS_BETTER: Record<Metric, boolean> = {
  auc: true,
  accuracy: true,
  ndcg: true,
  log_loss: false,
  rmse: false,
};

const DEFAULT_METRIC: Record<TrainableTask, Metric> = {
  binary: 'auc',
  multiclass: 'log_loss',
  regression: 'rmse',
  ranking: 'ndcg',
};

/** The metric a candidate is judged by: the declared one, else the task's. */
export function gateMetric(task: TrainableTask, declared: Metric | undefined): Metric {
  return declared ?? DEFAULT_METRIC[task];
}

/** One line of the gate's table. */
export interface GateCheck {
  /** Such as `auc`, `baseline`, `corrections` or `slice country = IT`. */
  readonly name: string;
  /** `reported`: measured, but no rule of the manifest decides by it. */
  readonly outcome: 'passed' | 'failed' | 'reported';
  readonly candidate: number | null;
  /** What the candidate is compared with: the live version's value, the baseline's, or the limit. */
  readonly against: number | null;
  /** Of how much better the candidate is; null where no interval is known. */
  readonly interval: { readonly low: number; readonly high: number } | null;
  /** Held-out rows, or corrections, that it was measured on. */
  readonly examples: number;
  /** One sentence with the numbers. */
  readonly message: string;
}

/** Two values of the metric on the same held-out rows. */
export interface Compared {
  readonly candidate: number;
  readonly against: number;
  /** How much better the candidate is, whatever the metric's direction; NaN where undefined. */
  readonly improvement: number;
  readonly interval: { readonly low: number; readonly high: number };
}

export interface GateInput {
  readonly metric: Metric;
  readonly spec: GateSpec;
  readonly live: Compared;
  /** The best constant prediction, known from the training rows; null where none is possible. */
  readonly baseline: Compared | null;
  /** Held-out rows. */
  readonly examples: number;
  /** Share of the labelled rows that is held out: to say how many more labels are needed. */
  readonly holdout: number;
  /** Slices, corrections, calibration, drift, size: already checked. */
  readonly checks: readonly GateCheck[];
}

export interface GateVerdict {
  readonly passed: boolean;
  readonly metric: Metric;
  readonly candidate: number | null;
  readonly live: number | null;
  /** How much better the candidate is, positive for better whatever the metric's direction; null when undefined. */
  readonly improvement: number | null;
  /** 95 % (or the declared confidence) interval of the improvement; null when undefined. */
  readonly interval: { readonly low: number; readonly high: number } | null;
  /** The metric of the best constant prediction; null when undefined. */
  readonly baseline: number | null;
  readonly examples: number;
  readonly checks: readonly GateCheck[];
  /** What is missing for a pass, such as "about 400 more labels"; null when nothing is, or more labels would not help. */
  readonly missing: string | null;
  /** One sentence with the numbers. */
  readonly message: string;
}

/** Decides whether a candidate may replace the live version. Pure. An undefined number never passes. */
export function judgeCandidate(input: GateInput): GateVerdict {
  const { metric, live, baseline, examples, spec } = input;
  const checks = [examplesCheck(input), metricCheck(input), ...baselineCheck(input), ...input.checks];
  const failed = checks.filter(({ outcome }) => outcome === 'failed');
  const missing = failed.length === 0 ? null : missingLabels(input);
  const numbers = `${metric} ${shown(live.candidate)} against ${shown(live.against)} live on ${examples} held-out examples`;
  return {
    passed: failed.length === 0,
    metric,
    candidate: orNull(live.candidate),
    live: orNull(live.against),
    improvement: orNull(live.improvement),
    interval: intervalOf(live),
    baseline: orNull(baseline?.against),
    examples,
    checks,
    missing,
    message:
      failed.length === 0
        ? `passed: ${numbers}; at least ${spec.at_least} better was asked`
        : `refused: ${failed.map(({ message }) => message).join('; ')} (${numbers}; at least ${spec.at_least} better on ` +
          `${spec.min_examples} examples was asked)${missing === null ? '' : `; ${missing}`}`,
  };
}

function examplesCheck({ examples, spec }: GateInput): GateCheck {
  const isEnough = examples >= spec.min_examples;
  return {
    ...{ name: 'examples', candidate: examples, against: spec.min_examples, interval: null, examples },
    outcome: isEnough ? 'passed' : 'failed',
    message: isEnough
      ? `${examples} held-out examples`
      : `too few held-out examples: ${examples} of ${spec.min_examples}`,
  };
}

function metricCheck({ metric, live, spec, examples }: GateInput): GateCheck {
  const { candidate, against, improvement, interval } = live;
  const failure = !Number.isFinite(improvement)
    ? `${metric} is undefined on the held-out examples`
    : improvement < spec.at_least
      ? improvement < 0
        ? 'the candidate is worse'
        : 'the candidate is not better by enough'
      : spec.confidence !== undefined && !(interval.low >= spec.at_least)
        ? `it is not certain at ${spec.confidence} that the candidate is better by ${spec.at_least}`
        : null;
  return {
    ...{
      name: metric,
      candidate: orNull(candidate),
      against: orNull(against),
      interval: intervalOf(live),
      examples,
    },
    outcome: failure === null ? 'passed' : 'failed',
    message: failure ?? `better by ${shown(improvement)}`,
  };
}

function baselineCheck({ metric, baseline, examples }: GateInput): GateCheck[] {
  if (baseline === null) return [];
  const isBetter = baseline.improvement > 0;
  return [
    {
      ...{ name: 'baseline', candidate: orNull(baseline.candidate), against: orNull(baseline.against) },
      ...{ interval: intervalOf(baseline), examples },
      outcome: isBetter ? 'passed' : 'failed',
      message: isBetter
        ? `better than the best constant, ${metric} ${shown(baseline.against)}`
        : `no better than always predicting the same, which has ${metric} ${shown(baseline.against)}`,
    },
  ];
}

/**
 * How many more labels would make a pass possible. Too few examples: the rest of them. Better, but not for certain: the interval
 * shrinks with the square root of the number of examples.
 */
function missingLabels({ examples, spec, live, holdout }: GateInput): string | null {
  const { improvement, interval } = live;
  const margin = improvement - spec.at_least;
  const half = (interval.high - interval.low) / 2;
  const unsure = spec.confidence !== undefined && margin > 0 && interval.low < spec.at_least;
  const needed = Math.max(spec.min_examples, unsure ? examples * (half / margin) ** 2 : 0);
  if (!(needed > examples)) return null;
  return `about ${roundUp((needed - examples) / holdout)} more labels are needed`;
}

/** Two digits are as exact as such an estimate is. */
function roundUp(count: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(count)) - 1);
  return Math.ceil(count / unit) * unit;
}

function intervalOf({ interval }: Compared): GateCheck['interval'] {
  return Number.isFinite(interval.low) && Number.isFinite(interval.high) ? interval : null;
}

export function orNull(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

export function shown(value: number): string {
  return Number.isFinite(value) ? value.toFixed(4) : 'undefined';
}
