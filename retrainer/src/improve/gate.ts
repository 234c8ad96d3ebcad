import type { Metric } from '@hotloop/model/manifest/training-schema.ts';
import type { TrainableTask } from '@hotloop/model/training/trainable-task.ts';

const LARGER_IS_BETTER: Record<Metric, boolean> = {
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

export interface GateInput {
  readonly metric: Metric;
  /** Both over the same held-out rows; NaN where the metric is undefined on them. */
  readonly candidate: number;
  readonly live: number;
  /** Number of those rows. */
  readonly examples: number;
  readonly atLeast: number;
  readonly minExamples: number;
}

export interface GateVerdict {
  readonly passed: boolean;
  readonly metric: Metric;
  readonly candidate: number | null;
  readonly live: number | null;
  /** How much better the candidate is, positive for better whatever the metric's direction; null when undefined. */
  readonly improvement: number | null;
  readonly examples: number;
  /** One sentence with the numbers, for whoever asks why. */
  readonly message: string;
}

/** Decides whether a candidate may replace the live version. Pure. An undefined number never passes. */
export function judgeCandidate(input: GateInput): GateVerdict {
  const { metric, candidate, live, examples, atLeast, minExamples } = input;
  const isDefined = Number.isFinite(candidate) && Number.isFinite(live);
  const improvement = isDefined ? (LARGER_IS_BETTER[metric] ? candidate - live : live - candidate) : null;
  const refusal = refusalOf(input, improvement);
  const numbers = `${metric} ${text(candidate)} against ${text(live)} live on ${examples} held-out examples`;
  return {
    passed: refusal === null,
    metric,
    candidate: Number.isFinite(candidate) ? candidate : null,
    live: Number.isFinite(live) ? live : null,
    improvement,
    examples,
    message:
      refusal === null
        ? `passed: ${numbers}; at least ${atLeast} better was asked`
        : `refused: ${refusal} (${numbers}; at least ${atLeast} better on ${minExamples} examples was asked)`,
  };
}

function refusalOf(input: GateInput, improvement: number | null): string | null {
  if (input.examples < input.minExamples) return 'too few held-out examples';
  if (improvement === null) return `${input.metric} is undefined on the held-out examples`;
  if (improvement < input.atLeast)
    return improvement < 0 ? 'the candidate is worse' : 'the candidate is not better by enough';
  return null;
}

function text(value: number): string {
  return Number.isFinite(value) ? value.toFixed(4) : 'undefined';
}
