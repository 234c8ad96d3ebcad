import { elementCount } from '@hotloop/model/onnx/tensor.ts';
import type { GradientRule } from '../gradient-writer.ts';
import type { DifferentiableOperator } from '../gradients/gradient-rules.ts';
import { checkAgainstReference, checkGradient, type GradientCheck } from './check-gradient.ts';
import { operatorCases } from './operator-cases.ts';
import { RandomGraph } from './random-graph.ts';

/** Checks one operator's gradient on random shapes and values, which follow from the seed. */
export async function checkOperator(
  operator: DifferentiableOperator,
  seed: number,
  ruleOf?: (domain: string, operator: string) => GradientRule | undefined,
): Promise<GradientCheck> {
  const g = new RandomGraph(seed);
  const { value, dims, opset, reference } = operatorCases[operator](g);
  const count = elementCount(dims);
  const model = g.finish(value, opset);
  const labels = g.values(count);
  const weights = g.values(count, 'positive');
  const trainable = [...model.graph.initializers].flatMap(([name, { elementType }]) =>
    elementType === 'float32' && name.startsWith('weight_') ? [name] : [],
  );
  const options = { labels, weights, trainable, ...(ruleOf ? { ruleOf } : {}) };
  if (reference) return checkAgainstReference(model, reference, options);
  return checkGradient(model, { ...options, loss: 'mean_squared_error' });
}
