import { numberFold } from './function-kind.ts';

export const minFunction = numberFold(
  'min',
  'The smallest value of a field; absent when no event has it.',
  'sums',
  ({ count, min }) => (count === 0 ? undefined : min),
);
