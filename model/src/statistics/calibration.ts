/** A step function from raw score to probability: `levels[i]` applies to scores up to `bounds[i]`. */
export interface Calibration {
  readonly bounds: readonly number[];
  readonly levels: readonly number[];
}

/**
 * Isotonic regression of labels on scores by pooling adjacent violators; each level is smoothed by half a success and
 * half a failure, so that no probability is 0 or 1. Empty input gives one level of 0.5.
 */
export function fitCalibration(scores: ArrayLike<number>, labels: ArrayLike<number>): Calibration {
  const order = Uint32Array.from({ length: scores.length }, (_v, index) => index).sort(
    (a, b) => scores[a]! - scores[b]!,
  );
  const pools: { sum: number; count: number; bound: number }[] = [];
  for (let start = 0; start < order.length; ) {
    const bound = scores[order[start]!]!;
    const pool = { sum: 0, count: 0, bound };
    while (start < order.length && scores[order[start]!] === bound) {
      pool.sum += labels[order[start++]!]! > 0.5 ? 1 : 0;
      pool.count++;
    }
    pools.push(pool);
    while (pools.length > 1) {
      const [before, last] = [pools.at(-2)!, pools.at(-1)!];
      if (before.sum * last.count < last.sum * before.count) break;
      pools.splice(-2, 2, {
        sum: before.sum + last.sum,
        count: before.count + last.count,
        bound: last.bound,
      });
    }
  }
  if (pools.length === 0) return { bounds: [Number.POSITIVE_INFINITY], levels: [0.5] };
  return {
    bounds: pools.map((pool) => pool.bound),
    levels: pools.map((pool) => (pool.sum + 0.5) / (pool.count + 1)),
  };
}

/**
 * The probability of a score. No interpolation between the steps, because it would smooth more than the data
 * supports.
 */
export function calibrated({ bounds, levels }: Calibration, score: number): number {
  let [low, high] = [0, bounds.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bounds[middle]! < score) low = middle + 1;
    else high = middle;
  }
  return levels[low]!;
}

/** Platt scaling: probability = 1 / (1 + exp(-(a logit(score) + b))); two parameters, so it needs few labels. */
export interface Platt {
  readonly a: number;
  readonly b: number;
}

const EDGE = 1e-6;
/** Strength of the regularization of `a` towards 1. */
const RIDGE = 1e-3;
const logit = (p: number): number => {
  const kept = Math.min(1 - EDGE, Math.max(EDGE, p));
  return Math.log(kept / (1 - kept));
};

/**
 * Newton's method on the log loss, with Platt's targets and a weak regularization of `a` towards 1. A step that would
 * increase the loss is halved (Lin, Lin and Weng 2007); otherwise it diverges on overconfident or underconfident
 * scores.
 */
export function fitPlatt(scores: ArrayLike<number>, labels: ArrayLike<number>): Platt {
  const n = scores.length;
  let positives = 0;
  for (let index = 0; index < n; index++) positives += labels[index]! > 0.5 ? 1 : 0;
  const high = (positives + 1) / (positives + 2);
  const low = 1 / (n - positives + 2);
  const targets = Float64Array.from({ length: n }, (_v, index) => (labels[index]! > 0.5 ? high : low));
  const logits = Float64Array.from({ length: n }, (_v, index) => logit(scores[index]!));
  const lossOf = (a: number, b: number): number => {
    let loss = (RIDGE * (a - 1) ** 2) / 2;
    for (let index = 0; index < n; index++) {
      const z = a * logits[index]! + b;
      // ln(1 + e^z) - target z, without overflow.
      loss += Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))) - targets[index]! * z;
    }
    return loss;
  };
  let [a, b] = [1, 0];
  let loss = lossOf(a, b);
  for (let step = 0; step < 50; step++) {
    let [ga, gb, haa, hab, hbb] = [RIDGE * (a - 1), 0, RIDGE, 0, 1e-9];
    for (let index = 0; index < n; index++) {
      const x = logits[index]!;
      const p = 1 / (1 + Math.exp(-(a * x + b)));
      const gap = p - targets[index]!;
      const weight = Math.max(p * (1 - p), 1e-12);
      ga += gap * x;
      gb += gap;
      haa += weight * x * x;
      hab += weight * x;
      hbb += weight;
    }
    const determinant = haa * hbb - hab * hab;
    if (Math.abs(determinant) < 1e-18) break;
    const da = (ga * hbb - gb * hab) / determinant;
    const db = (haa * gb - hab * ga) / determinant;
    let size = 1;
    let next = lossOf(a - da, b - db);
    while (!(next <= loss) && size > 1e-8) {
      size /= 2;
      next = lossOf(a - size * da, b - size * db);
    }
    if (!(next <= loss)) break;
    [a, b, loss] = [a - size * da, b - size * db, next];
    if (size * (Math.abs(da) + Math.abs(db)) < 1e-9) break;
  }
  return { a, b };
}

/** Sum over rows of -ln of the probability assigned to the observed label. */
export function logLoss(
  platt: Platt,
  rows: readonly { readonly score: number; readonly label: number }[],
): number {
  return rows.reduce((sum, { score, label }) => {
    const p = Math.min(1 - 1e-12, Math.max(1e-12, plattProbability(platt, score)));
    return sum - Math.log(label > 0.5 ? p : 1 - p);
  }, 0);
}

export function plattProbability({ a, b }: Platt, score: number): number {
  return 1 / (1 + Math.exp(-(a * logit(score) + b)));
}
