import { expect, it } from 'vitest';
import { slopePerHour } from './soak-slope.ts';

it('finds a planted leak of 60 MB an hour under noise, and none in noise alone', () => {
  const noise = (index: number) => ((index * 7919) % 13) - 6;
  const points = (leak: number) =>
    Array.from({ length: 360 }, (_, index) => ({
      at: index * 10_000,
      value: 200 + noise(index) + index * leak,
    }));
  expect(slopePerHour(points(60 / 360))).toBeCloseTo(60, 0);
  expect(Math.abs(slopePerHour(points(0)))).toBeLessThan(1);
  expect(slopePerHour([{ at: 0, value: 1 }])).toBe(0);
});
