import { z } from 'zod';
import { numberTransform } from './transform-kind.ts';

export const scale = numberTransform({
  name: 'scale',
  schema: z
    .strictObject({ scale: z.strictObject({ min: z.number(), max: z.number() }) })
    .describe('(x - min) / (max - min)'),
  documentation: '(x − min) / (max − min): from 0 to 1 for numbers between the two.',
  example: '{scale: {min: 0, max: 100}}',
  apply({ scale: { min, max } }) {
    if (!(min < max)) throw new RangeError('scale needs min below max');
    const length = max - min;
    return (numbers, count) => {
      for (let index = 0; index < count; index++)
        numbers[index] = ((numbers[index] as number) - min) / length;
    };
  },
});
