/** The loss as nodes: where the forward graph is cut off, the loss itself, and the loss's gradient at the cut. */
export interface LossNodes {
  /** The forward value the loss reads: the model's output, or what goes into its last Sigmoid or Softmax. */
  readonly target: string;
  /** Writes the loss, a scalar: the mean over examples, weighted. */
  readonly writeLoss: () => string;
  /** Writes the gradient of the loss by `target`, in the target's shape. To be called after `writeLoss`. */
  readonly writeGradient: () => string;
}

/** Names of the values a loss reads beside the model's output: [N], of the graph's floating point type; groups int64. */
export interface LossInputs {
  readonly labels: string;
  readonly weights: string;
  readonly groups: string;
}
