import { z } from 'zod';
import { numberTransform } from './transform-kind.ts';

export const log1p = numberTransform({
  name: 'log1p',
  schema: z.literal('log1p').describe('sign(x) * ln(1 + |x|)'),
  documentation: 'sign(x) · ln(1 + |x|): compresses long tails, and keeps the sign.',
  example: 'log1p',
  apply: () => (numbers, count) => {
    for (let index = 0; index < count; index++) {
      const x = numbers[index] as number;
      numbers[index] = x < 0 ? -Math.log1p(-x) : Math.log1p(x);
    }
  },
});
