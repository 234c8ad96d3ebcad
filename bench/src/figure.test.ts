import { describe, expect, it } from 'vitest';
import { figure, ratios } from './figure.ts';
import type { Sample } from './interleave.ts';

const sample = (perSecond: number): Sample => ({ perSecond, p50Ms: 1, p99Ms: 2 });

describe('figure', () => {
  it('is the median of the rounds with its spread, held against its goal', () => {
    expect(figure('infer_unary', [0.9, 0.7, 0.85], { atLeast: 0.8 })).toEqual({
      key: 'infer_unary',
      value: 0.85,
      goal: '>= 0.8',
      met: true,
      low: 0.7,
      high: 0.9,
      n: 3,
    });
    expect(figure('log_p99', [1.2, 1.1, 1.3], { atMost: 1.1 })).toMatchObject({ goal: '<= 1.1', met: false });
  });

  it('is the mean of the two middle rounds of an even number', () => {
    expect(figure('shadow_p99', [3, 1, 1.2, 1.1]).value).toBeCloseTo(1.15, 12);
  });

  it('does not let one lucky round meet a goal that the median misses', () => {
    const rounds = [0.1, 0.1, 0.1, 0.1, 5];
    expect(figure('infer_unary', rounds, { atLeast: 0.8 }).met).toBe(false);
    // Check of the test: the mean would meet the goal.
    expect(rounds.reduce((sum, value) => sum + value, 0) / rounds.length).toBeGreaterThan(0.8);
  });

  it('meets no goal without a measurement', () => {
    expect(figure('swap_p99', [Number.NaN], { atMost: 1.2 }).met).toBe(false);
    expect(figure('swap_p99', [], { atMost: 1.2 }).met).toBe(false);
  });

  it('is reported without a verdict when it has no goal', () => {
    expect(figure('echo_p50_ms', [0.5])).toMatchObject({ goal: '', met: null });
  });

  it('compares the two sides of one round, not their medians', () => {
    const rounds = new Map([
      ['over', [sample(10), sample(100), sample(30)]],
      ['under', [sample(20), sample(100), sample(10)]],
    ]);
    expect(ratios(rounds, 'over', 'under', (one) => one.perSecond)).toEqual([0.5, 1, 3]);
    expect(ratios(rounds, 'over', 'absent', (one) => one.perSecond)).toEqual([]);
  });
});
