export interface LogisticModel {
  readonly weights: Float64Array;
  readonly intercept: number;
  readonly means: Float64Array;
  readonly deviations: Float64Array;
}

export interface LogisticOptions {
  /** Strength of the L2 penalty on standardized weights, per row. Default 1e-3. */
  readonly ridge?: number;
  /** Steps of gradient descent with momentum. Default 300. */
  readonly steps?: number;
}

/**
 * Logistic regression on standardized columns by accelerated gradient descent (Nesterov), with a step size from the
 * data's curvature. Small and without dependencies: for the domain classifier and the estimates of monitoring.
 *
 * @param features rows x columns, row-major.
 */
export function fitLogistic(
  features: ArrayLike<number>,
  columns: number,
  labels: ArrayLike<number>,
  { ridge = 1e-3, steps = 300 }: LogisticOptions = {},
): LogisticModel {
  const rows = labels.length;
  const { means, deviations } = momentsOf(features, columns, rows);
  const scaled = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      scaled[row * columns + column] =
        (features[row * columns + column]! - means[column]!) / deviations[column]!;
  const weights = new Float64Array(columns + 1);
  const ahead = new Float64Array(columns + 1);
  const gradient = new Float64Array(columns + 1);
  const rate = 4 / (largestEigenvalue(scaled, columns, rows) + 1 + 4 * ridge);
  for (let step = 1; step <= steps; step++) {
    gradient.fill(0);
    for (let row = 0; row < rows; row++) {
      let z = ahead[columns]!;
      for (let column = 0; column < columns; column++) z += scaled[row * columns + column]! * ahead[column]!;
      const gap = (1 / (1 + Math.exp(-z)) - labels[row]!) / rows;
      for (let column = 0; column < columns; column++)
        gradient[column]! += gap * scaled[row * columns + column]!;
      gradient[columns]! += gap;
    }
    const momentum = (step - 1) / (step + 2);
    for (let column = 0; column <= columns; column++) {
      const pull = column < columns ? ridge * ahead[column]! : 0;
      const next = ahead[column]! - rate * (gradient[column]! + pull);
      ahead[column] = next + momentum * (next - weights[column]!);
      weights[column] = next;
    }
  }
  return { weights: weights.slice(0, columns), intercept: weights[columns]!, means, deviations };
}

/** The probability of the row that starts at `offset`. */
export function logisticProbability(model: LogisticModel, features: ArrayLike<number>, offset = 0): number {
  let z = model.intercept;
  for (let column = 0; column < model.weights.length; column++)
    z +=
      (model.weights[column]! * (features[offset + column]! - model.means[column]!)) /
      model.deviations[column]!;
  return 1 / (1 + Math.exp(-z));
}

function momentsOf(features: ArrayLike<number>, columns: number, rows: number) {
  const means = new Float64Array(columns);
  const deviations = new Float64Array(columns);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      means[column]! += features[row * columns + column]! / rows;
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      deviations[column]! += (features[row * columns + column]! - means[column]!) ** 2 / rows;
  for (let column = 0; column < columns; column++) {
    const deviation = Math.sqrt(deviations[column]!);
    // The mean of a constant is rounded: what is left of its deviation would make any other value later a huge one.
    deviations[column] = deviation > CONSTANT * Math.abs(means[column]!) ? deviation : 1;
  }
  return { means, deviations };
}

/** A deviation below this part of the mean is that of a constant column. */
const CONSTANT = 1e-9;

/** Of the columns' correlation matrix, by power iteration. */
function largestEigenvalue(scaled: Float64Array, columns: number, rows: number): number {
  let vector = new Float64Array(columns).map((_v, index) => 1 + index / columns);
  let value = 1;
  for (let step = 0; step < 12; step++) {
    const next = new Float64Array(columns);
    for (let row = 0; row < rows; row++) {
      let dot = 0;
      for (let column = 0; column < columns; column++)
        dot += scaled[row * columns + column]! * vector[column]!;
      for (let column = 0; column < columns; column++)
        next[column]! += (dot * scaled[row * columns + column]!) / Math.max(1, rows);
    }
    value = Math.hypot(...next) || 1;
    vector = next.map((entry) => entry / value);
  }
  return value * 1.1;
}
