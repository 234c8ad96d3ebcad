import { expect, it } from 'vitest';
import { partsOf } from './find-onset.ts';

const MINUTE = 60_000;

it('divides a time into parts of as many calls, wherever they lie in it', () => {
  const until = 1_000 * MINUTE;
  // All calls of the day came in two of its minutes.
  const minutes = [
    { at: 900 * MINUTE, calls: 300 },
    { at: 990 * MINUTE, calls: 300 },
  ];
  const bounds = partsOf(minutes, 0, until);
  expect(bounds).toHaveLength(41);
  expect(bounds).toEqual(bounds.toSorted((a, b) => a - b));
  expect([bounds[0], bounds[1], bounds[20], bounds[21], bounds[40]]).toEqual([
    ...[0, 900 * MINUTE + MINUTE / 20, 901 * MINUTE],
    ...[990 * MINUTE + MINUTE / 20, until],
  ]);
});

it('divides a time evenly while its calls are not counted', () => {
  expect(partsOf([], 0, 4_000).slice(0, 3)).toEqual([0, 100, 200]);
});
