import { numberFold } from './function-kind.ts';

export const sumFunction = numberFold(
  'sum',
  'The sum of a field; 0 when there are no events.',
  'sums',
  ({ sum }) => sum,
);
