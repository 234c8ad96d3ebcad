import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GradientRule } from '../gradient-writer.ts';
import { checkOperator } from '../testing/check-operator.ts';
import { DIFFERENTIABLE, gradientRuleOf } from './gradient-rules.ts';

const tolerance = 1e-5;
const runs = 12;

describe('the gradient rule of', () => {
  it.each(DIFFERENTIABLE)('%s agrees with central differences on random shapes', async (operator) => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0 }), async (seed) => {
        const { worst, at, checked, kinks } = await checkOperator(operator, seed);
        expect(worst, `at ${at}`).toBeLessThanOrEqual(tolerance);
        expect(checked).toBeGreaterThan(9 * kinks);
      }),
      { numRuns: runs },
    );
  });
});

describe('the gradient checker', () => {
  /** Each right rule with a fault such as people make: a scaled, negated, or shifted gradient. */
  const faults: Readonly<Record<string, (g: Parameters<GradientRule>[0], right: string) => string>> = {
    'off by a factor of 1.0001': ({ writer }, right) => writer.op('Mul', [right, writer.scalar(1.0001)]),
    negated: ({ writer }, right) => writer.op('Neg', [right]),
    'off by a constant': ({ writer }, right) => writer.op('Add', [right, writer.scalar(1e-3)]),
  };

  it.each(Object.keys(faults))('detects a rule that is %s, for any operator', async (fault) => {
    for (const operator of DIFFERENTIABLE) {
      const wrong = (domain: string, name: string): GradientRule | undefined => {
        const right = gradientRuleOf(domain, name);
        if (!right || name !== operator) return right;
        return (context) => {
          // The last node, a Reshape too, only reads the result.
          if (context.node.outputs[0] === 'out') return right(context);
          return right(context).map((gradient) => gradient && faults[fault]!(context, gradient));
        };
      };
      // One graph may happen to have no gradient at all (all values clipped, Softmax of one element): six do not.
      const found = await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => checkOperator(operator, seed, wrong)));
      expect(Math.max(...found.map(({ worst }) => worst)), operator).toBeGreaterThan(tolerance);
    }
  });
});
