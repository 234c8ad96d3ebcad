import { type Interval, normalQuantile } from './distributions.ts';

/** One logged action: its reward, and its probability under the logged and the evaluated policy. */
export interface LoggedAction {
  readonly reward: number;
  /** Probability with which it was taken; above 0. */
  readonly logged: number;
  /** Probability with which the evaluated policy takes it in the same position. */
  readonly target: number;
  /** Its reward as predicted by a reward model; 0 without one. */
  readonly predicted: number;
}

/** One logged request: an action, or several where a list was shown. */
export interface LoggedRequest {
  readonly actions: readonly LoggedAction[];
  /** Sum over the actions of the evaluated policy of probability times predicted reward. */
  readonly expected: number;
  /** Number of actions that the evaluated policy takes here. */
  readonly slots: number;
}

export interface Estimate {
  readonly value: number;
  readonly interval: Interval;
}

export interface OffPolicyValue {
  /** Observed mean reward of a request under the logged policy. */
  readonly logged: Estimate;
  /**
   * Inverse propensity score: unbiased, with high variance when propensities are small (Horvitz and Thompson, 1952).
   */
  readonly ips: Estimate;
  /** Self-normalized: slightly biased, with lower variance (Swaminathan and Joachims, 2015). */
  readonly snips: Estimate;
  /**
   * Doubly robust: consistent if either the propensities or the reward model are right (Dudik, Langford and Li,
   * 2011).
   */
  readonly doublyRobust: Estimate;
  readonly requests: number;
  /** (sum of weights)^2 / sum of squared weights: the effective number of requests behind the estimate (Kish, 1965). */
  readonly effectiveSamples: number;
  /** Share of the total weight of the request with the largest weight. */
  readonly heaviest: number;
}

/**
 * The expected reward of another policy, estimated from a log of shown items with their propensities. Each list is
 * split into its positions: the reward of a position depends only on the item shown there (the item-position model of
 * Li et al., 2018). Intervals are normal intervals of the mean over requests, for SNIPS of its linearization. NaN
 * without requests. Pure.
 */
export function evaluateOffPolicy(requests: readonly LoggedRequest[], confidence = 0.95): OffPolicyValue {
  const z = normalQuantile(0.5 + confidence / 2);
  const weightOf = ({ target, logged }: LoggedAction) => target / logged;
  const sumOf = (request: LoggedRequest, of: (action: LoggedAction) => number) =>
    request.actions.reduce((sum, action) => sum + of(action), 0);
  const weights = requests.map((request) => sumOf(request, weightOf));
  const earned = requests.map((request) => sumOf(request, (action) => weightOf(action) * action.reward));
  const robust = requests.map(
    (request) =>
      request.expected + sumOf(request, (action) => weightOf(action) * (action.reward - action.predicted)),
  );
  const slots = mean(requests.map((request) => request.slots));
  const total = mean(weights);
  const ratio = mean(earned) / total;
  // The error of a ratio of means, linearized.
  const residuals = earned.map((value, index) => ((value - ratio * weights[index]!) / total) * slots);
  const snips = ratio * slots;
  const squares = weights.reduce((sum, weight) => sum + weight ** 2, 0);
  const sum = weights.reduce((all, weight) => all + weight, 0);
  return {
    logged: meanEstimate(
      requests.map((request) => sumOf(request, ({ reward }) => reward)),
      z,
    ),
    ips: meanEstimate(earned, z),
    snips: around(snips, deviation(residuals, 0) / Math.sqrt(requests.length), z),
    doublyRobust: meanEstimate(robust, z),
    requests: requests.length,
    effectiveSamples: squares > 0 ? sum ** 2 / squares : 0,
    heaviest: sum > 0 ? weights.reduce((most, weight) => Math.max(most, weight), 0) / sum : Number.NaN,
  };
}

function meanEstimate(values: readonly number[], z: number): Estimate {
  const centre = mean(values);
  return around(centre, deviation(values, centre) / Math.sqrt(values.length), z);
}

function around(value: number, standardError: number, z: number): Estimate {
  return { value, interval: { low: value - z * standardError, high: value + z * standardError } };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviation(values: readonly number[], centre: number): number {
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

/** With fewer effective requests an estimate is not reliable. */
const FEW_SAMPLES = 100;
const HEAVY_SHARE = 0.1;

/** Why an estimate should not be trusted; empty if there is no reason. Pure. */
export function offPolicyWarnings(
  { effectiveSamples, heaviest, requests }: OffPolicyValue,
  withoutPropensity: number,
): string[] {
  const warnings: string[] = [];
  if (requests === 0) return ['no logged request has a known propensity and an outcome'];
  if (effectiveSamples < FEW_SAMPLES)
    warnings.push(
      `too little exploration: the estimate is based on ${effectiveSamples.toFixed(0)} effective requests of ${requests}; ` +
        'raise decision.explore.epsilon, or wait for more requests',
    );
  if (heaviest > HEAVY_SHARE)
    warnings.push(`one request has ${(heaviest * 100).toFixed(0)} % of the total weight`);
  if (withoutPropensity > 0)
    warnings.push(`${withoutPropensity} requests are left out: shown without a known propensity`);
  return warnings;
}
