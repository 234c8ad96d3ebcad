import { numberFold } from './function-kind.ts';

export const meanFunction = numberFold(
  'mean',
  'The mean of a field over the events that have it; absent when none has.',
  'sums',
  (numbers) => {
    let sum = 0;
    for (const number of numbers) sum += number;
    return numbers.length === 0 ? undefined : sum / numbers.length;
  },
);
