import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';

/** Columns of one feature within a row. */
export interface ColumnGroup {
  readonly offset: number;
  readonly width: number;
}

/** Rows to be scored, float32[rows, columns]. */
export interface Rows {
  readonly rows: number;
  readonly values: Float32Array;
}

/** How much each feature moved the score away from that of the reference. */
export interface Attributions {
  /** In the order of the groups. */
  readonly byFeature: readonly number[];
  readonly score: number;
  readonly reference: number;
}

/**
 * Where integrated gradients look: the reference, the row, and `steps` midpoints of the straight line between them (Sundararajan, Taly,
 * Yan 2017, equation 1, by the midpoint rule). Pure.
 */
export function pathOf(row: Float32Array, reference: Float32Array, steps: number): Rows {
  const columns = row.length;
  const values = new Float32Array((steps + 2) * columns);
  values.set(reference, 0);
  values.set(row, columns);
  for (let step = 0; step < steps; step++) {
    const share = (step + 0.5) / steps;
    for (let column = 0; column < columns; column++) {
      const [from, to] = [reference[column] ?? 0, row[column] ?? 0];
      values[(step + 2) * columns + column] = from + share * (to - from);
    }
  }
  return { rows: steps + 2, values };
}

/**
 * Integrated gradients out of what `pathOf`'s rows gave: score and gradient of each, float32[rows, 1 + columns]. Their sum is the score
 * minus the reference's score, but for the error of the sum over steps. Pure.
 */
export function integratedGradients(
  row: Float32Array,
  reference: Float32Array,
  given: Float32Array,
  groups: readonly ColumnGroup[],
): Attributions {
  const stride = row.length + 1;
  const steps = given.length / stride - 2;
  const byColumn = Float64Array.from(row, (value, column) => {
    let sum = 0;
    for (let step = 0; step < steps; step++) sum += given[(step + 2) * stride + 1 + column] ?? 0;
    return ((value - (reference[column] ?? 0)) * sum) / steps;
  });
  return {
    byFeature: groups.map(({ offset, width }) =>
      byColumn.subarray(offset, offset + width).reduce((sum, value) => sum + value, 0),
    ),
    reference: given[0] ?? 0,
    score: given[stride] ?? 0,
  };
}

/**
 * Walks from a row of the background to the row, a feature at a time, in `walks` random orders, each followed by its reverse (Castro,
 * Gomez, Tejada 2009; Shapley values by sampling permutations). Row r * (groups + 1) + i of the answer has the first i features of walk
 * r taken over. Pure: the seed decides the orders.
 */
export function walksOf(
  row: Float32Array,
  background: readonly Float32Array[],
  groups: readonly ColumnGroup[],
  walks: number,
  seed: number,
): Rows & { readonly orders: readonly Uint32Array[] } {
  const random = new SeededRandom(seed);
  const columns = row.length;
  const orders: Uint32Array[] = [];
  const values = new Float32Array(walks * (groups.length + 1) * columns);
  let at = 0;
  for (let walk = 0; walk < walks; walk++) {
    const order = Uint32Array.from(groups, (_, index) => index);
    if (walk % 2 === 0) random.shuffle(order);
    else order.set((orders[walk - 1] ?? order).toReversed());
    orders.push(order);
    const current = Float32Array.from(background[Math.floor(walk / 2) % background.length] ?? row);
    values.set(current, at);
    at += columns;
    for (const index of order) {
      const { offset, width } = groups[index] ?? { offset: 0, width: 0 };
      current.set(row.subarray(offset, offset + width), offset);
      values.set(current, at);
      at += columns;
    }
  }
  return { rows: walks * (groups.length + 1), values, orders };
}

/** Shapley values out of the scores of `walksOf`'s rows: the mean change that each feature brought. They add up exactly. Pure. */
export function permutationAttributions(
  orders: readonly Uint32Array[],
  scores: ArrayLike<number>,
  features: number,
): Attributions {
  const sums = new Float64Array(features);
  let [reference, score] = [0, 0];
  for (const [walk, order] of orders.entries()) {
    const base = walk * (features + 1);
    reference += (scores[base] ?? 0) / orders.length;
    score = scores[base + features] ?? 0;
    for (const [place, index] of order.entries())
      sums[index] =
        (sums[index] ?? 0) + ((scores[base + place + 1] ?? 0) - (scores[base + place] ?? 0)) / orders.length;
  }
  return { byFeature: [...sums], score, reference };
}
