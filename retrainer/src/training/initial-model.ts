import { type Activation, type Head, perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

export interface InitialModelOptions {
  /** Columns of the feature plan. */
  readonly features: number;
  readonly task: 'binary' | 'multiclass' | 'regression' | 'ranking';
  /** How many classes, for `multiclass`. */
  readonly classes?: number;
  /** Sizes of the hidden layers. Default: 32 and 16. */
  readonly hidden?: readonly number[];
  readonly activation?: Activation;
  readonly seed?: number;
}

const headOf: Readonly<Record<InitialModelOptions['task'], Head>> = {
  binary: 'sigmoid',
  ranking: 'sigmoid',
  multiclass: 'softmax',
  regression: 'none',
};

/**
 * Builds an untrained model, to be trained from scratch: a perceptron with input `input` float32[N, features] and output
 * `score` (binary, ranking), `probabilities` (multiclass) or `value` (regression). The same options give the same bytes.
 */
export function initialModel(options: InitialModelOptions): Uint8Array {
  const { features, task, classes, hidden = [32, 16], activation = 'relu', seed = 1 } = options;
  if (task === 'multiclass' && !(classes !== undefined && classes >= 2)) {
    throw new HotloopError('INVALID_ARGUMENT', 'a multiclass model needs at least two classes');
  }
  const outputs = task === 'multiclass' ? classes! : 1;
  return perceptron({ inputs: features, hidden, outputs, activation, head: headOf[task], seed });
}
