import { numberFold } from './function-kind.ts';

export const sumFunction = numberFold(
  'sum',
  'The sum of a field; 0 when there are no events.',
  'sums',
  (numbers) => {
    let sum = 0;
    for (const number of numbers) sum += number;
    return sum;
  },
);
