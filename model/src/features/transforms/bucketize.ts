import { z } from 'zod';
import { numberTransform } from './transform-kind.ts';

export const bucketize = numberTransform({
  name: 'bucketize',
  schema: z
    .strictObject({ bucketize: z.array(z.number()).min(1).max(1000) })
    .describe('Index of the bucket, boundaries ascending'),
  documentation: 'Number of boundaries (ascending) at or below the number, which is the index of its bucket.',
  example: '{bucketize: [1, 10, 100]}',
  apply({ bucketize: given }) {
    for (let index = 1; index < given.length; index++)
      if (!((given[index - 1] as number) < (given[index] as number)))
        throw new RangeError('bucketize needs ascending boundaries');
    const boundaries = Float64Array.from(given);
    return (numbers, count) => {
      for (let index = 0; index < count; index++) {
        const x = numbers[index] as number;
        let low = 0;
        let high = boundaries.length;
        while (low < high) {
          const middle = (low + high) >> 1;
          if ((boundaries[middle] as number) <= x) low = middle + 1;
          else high = middle;
        }
        numbers[index] = Number.isNaN(x) ? Number.NaN : low;
      }
    };
  },
});
