import { numberFold } from './function-kind.ts';

export const meanFunction = numberFold(
  'mean',
  'The mean of a field over the events that have it; absent when none has.',
  'sums',
  ({ count, sum }) => (count === 0 ? undefined : sum / count),
);
