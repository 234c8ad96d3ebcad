import { z } from 'zod';
import { numberTransform } from './transform-kind.ts';

export const abs = numberTransform({
  name: 'abs',
  schema: z.literal('abs'),
  documentation: 'The number without its sign.',
  example: 'abs',
  apply: () => (numbers, count) => {
    for (let index = 0; index < count; index++) numbers[index] = Math.abs(numbers[index] as number);
  },
});
