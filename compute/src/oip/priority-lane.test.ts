import { describe, expect, it } from 'vitest';
import { laneOf } from './priority-lane.ts';

describe('the lane of a priority', () => {
  it('decreases from the most urgent, 1, to the least urgent, 1000', () => {
    const lanes = Array.from({ length: 1_000 }, (_, index) => laneOf(index + 1));
    for (let index = 1; index < lanes.length; index++)
      expect(lanes[index]).toBeLessThan(lanes[index - 1] ?? 0);
    expect(lanes.at(-1)).toBe(0);
  });

  it('is the least urgent by default', () => {
    expect(laneOf(0)).toBe(laneOf(1_000));
  });

  it.each([-1, 1_001, 1.5, Number.NaN, 2 ** 64])('refuses %s, naming the parameter', (priority) => {
    expect(() => laneOf(priority)).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        message: `parameter 'priority' must be an integer from 0 to 1000, not ${priority}`,
      }),
    );
  });
});
