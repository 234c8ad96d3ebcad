import { numberFold } from './function-kind.ts';

export const maxFunction = numberFold(
  'max',
  'The largest value of a field; absent when no event has it.',
  'sums',
  ({ count, max }) => (count === 0 ? undefined : max),
);
