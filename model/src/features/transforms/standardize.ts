import { z } from 'zod';
import { numberTransform } from './transform-kind.ts';

export const standardize = numberTransform({
  name: 'standardize',
  schema: z.strictObject({ standardize: z.strictObject({ mean: z.number(), std: z.number().positive() }) }),
  documentation: '(x − mean) / std.',
  example: '{standardize: {mean: 2.1, std: 0.7}}',
  apply:
    ({ standardize: { mean, std } }) =>
    (numbers, count) => {
      for (let index = 0; index < count; index++) numbers[index] = ((numbers[index] as number) - mean) / std;
    },
});
