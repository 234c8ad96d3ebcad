import { METRICS } from '@hotloop/model/manifest/training-schema.ts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GateInput, gateMetric, judgeCandidate } from './gate.ts';

const input = (change: Partial<GateInput> = {}): GateInput => ({
  metric: 'auc',
  candidate: 0.9,
  live: 0.85,
  examples: 200,
  atLeast: 0,
  minExamples: 100,
  ...change,
});

describe('the gate', () => {
  it('passes a candidate that is better, and says the numbers', () => {
    const verdict = judgeCandidate(input());
    expect(verdict).toMatchObject({ passed: true, candidate: 0.9, live: 0.85 });
    expect(verdict.improvement).toBeCloseTo(0.05);
    expect(verdict.message).toContain('auc 0.9000 against 0.8500 live on 200 held-out examples');
  });

  it.each([
    ['a worse candidate', { candidate: 0.8 }, 'the candidate is worse'],
    ['one that is not better by enough', { atLeast: 0.1 }, 'not better by enough'],
    ['too few examples', { examples: 99 }, 'too few held-out examples'],
    ['an undefined candidate', { candidate: Number.NaN }, 'auc is undefined'],
    ['an undefined live version', { live: Number.NaN }, 'auc is undefined'],
    ['an infinite loss', { metric: 'log_loss' as const, candidate: Number.POSITIVE_INFINITY }, 'undefined'],
  ])('refuses %s, and says why', (_title, change, reason) => {
    const verdict = judgeCandidate(input(change));
    expect(verdict.passed).toBe(false);
    expect(verdict.message).toContain(reason);
  });

  it('knows which way each metric gets better', () => {
    const better = { auc: true, accuracy: true, ndcg: true, log_loss: false, rmse: false };
    for (const metric of METRICS)
      expect(judgeCandidate(input({ metric, candidate: 2, live: 1 })).passed, metric).toBe(better[metric]);
  });

  it('passes an equal one when no improvement is asked for', () => {
    expect(judgeCandidate(input({ candidate: 0.85 })).passed).toBe(true);
  });

  it('never passes both ways round when an improvement is asked for', () => {
    void fc.assert(
      fc.property(fc.constantFrom(...METRICS), fc.double(), fc.double(), (metric, candidate, live) => {
        const one = judgeCandidate(input({ metric, candidate, live, atLeast: 1e-9 }));
        const other = judgeCandidate(input({ metric, candidate: live, live: candidate, atLeast: 1e-9 }));
        expect(one.passed && other.passed).toBe(false);
      }),
    );
  });

  it('judges each task by its own metric unless told otherwise', () => {
    expect(gateMetric('binary', undefined)).toBe('auc');
    expect(gateMetric('multiclass', undefined)).toBe('log_loss');
    expect(gateMetric('regression', undefined)).toBe('rmse');
    expect(gateMetric('ranking', undefined)).toBe('ndcg');
    expect(gateMetric('binary', 'accuracy')).toBe('accuracy');
  });
});
