import { numberFold } from './function-kind.ts';

export const maxFunction = numberFold(
  'max',
  'The largest value of a field; absent when no event has it.',
  'sums',
  (numbers) => {
    let greatest = numbers[0];
    for (const number of numbers) if (greatest === undefined || number > greatest) greatest = number;
    return greatest;
  },
);
