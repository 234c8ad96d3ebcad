import { numberFold } from './function-kind.ts';

export const minFunction = numberFold(
  'min',
  'The smallest value of a field; absent when no event has it.',
  'sums',
  (numbers) => {
    let least = numbers[0];
    for (const number of numbers) if (least === undefined || number < least) least = number;
    return least;
  },
);
