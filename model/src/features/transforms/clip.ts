import { z } from 'zod';
import { numberTransform } from './transform-kind.ts';

export const clip = numberTransform({
  name: 'clip',
  schema: z.strictObject({ clip: z.tuple([z.number(), z.number()]) }),
  documentation: 'Numbers below the first become the first, numbers above the second become the second.',
  example: '{clip: [0, 1000]}',
  apply({ clip: [low, high] }) {
    if (low > high) throw new RangeError('clip needs its first number at or below its second');
    return (numbers, count) => {
      for (let index = 0; index < count; index++) {
        const x = numbers[index] as number;
        numbers[index] = x < low ? low : x > high ? high : x;
      }
    };
  },
});
