import { GATE_DEFAULTS, METRICS } from '@hotloop/model/manifest/gate-schema.ts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GateCheck, type GateInput, gateMetric, judgeCandidate, LARGER_IS_BETTER } from './gate.ts';

const compared = (candidate: number, against: number, half = 0.01) => {
  const improvement = candidate - against;
  return { candidate, against, improvement, interval: { low: improvement - half, high: improvement + half } };
};

const input = (change: Partial<GateInput> = {}): GateInput => ({
  metric: 'auc',
  spec: GATE_DEFAULTS,
  live: compared(0.9, 0.85),
  baseline: compared(0.9, 0.5),
  examples: 200,
  holdout: 0.2,
  checks: [],
  ...change,
});

const check = (outcome: GateCheck['outcome']): GateCheck => ({
  ...{ name: 'slice country = IT', outcome, candidate: 0.5, against: 0.6, interval: null, examples: 50 },
  message: 'auc of country = IT is worse',
});

describe('the gate', () => {
  it('passes a better candidate, with the numbers', () => {
    const verdict = judgeCandidate(input());
    expect(verdict).toMatchObject({ passed: true, candidate: 0.9, live: 0.85, baseline: 0.5, missing: null });
    expect(verdict.improvement).toBeCloseTo(0.05);
    expect(verdict.message).toContain('auc 0.9000 against 0.8500 live on 200 held-out examples');
    expect(verdict.checks.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['examples', 'passed'],
      ['auc', 'passed'],
      ['baseline', 'passed'],
    ]);
  });

  it.each<[string, Partial<GateInput>, string]>([
    ['a worse candidate', { live: compared(0.8, 0.85) }, 'the candidate is worse'],
    [
      'one that is not better by enough',
      { spec: { ...GATE_DEFAULTS, at_least: 0.1 } },
      'not better by enough',
    ],
    ['too few examples', { examples: 99 }, 'too few held-out examples'],
    ['an undefined candidate', { live: compared(Number.NaN, 0.8) }, 'auc is undefined'],
    ['an undefined live version', { live: compared(0.8, Number.NaN) }, 'auc is undefined'],
    [
      'one no better than a constant',
      { baseline: compared(0.5, 0.5) },
      'no better than always predicting the same',
    ],
    [
      'one that a slice or a correction refuses',
      { checks: [check('failed')] },
      'auc of country = IT is worse',
    ],
    [
      'an improvement that is not certain, where certainty is asked for',
      { live: compared(0.9, 0.85, 0.1), spec: { ...GATE_DEFAULTS, confidence: 0.95 } },
      'not certain at 0.95',
    ],
  ])('refuses %s, and says why', (_title, change, reason) => {
    const verdict = judgeCandidate(input(change));
    expect(verdict.passed).toBe(false);
    expect(verdict.message).toContain(reason);
  });

  it('says how many labels are missing', () => {
    expect(judgeCandidate(input({ examples: 20 })).missing).toBe('about 400 more labels are needed');
    // Twice the margin is the half-width: four times as many held-out rows are needed, 600 more of a fifth.
    const unsure = input({ live: compared(0.9, 0.85, 0.1), spec: { ...GATE_DEFAULTS, confidence: 0.95 } });
    expect(judgeCandidate(unsure).missing).toBe('about 3000 more labels are needed');
    // More labels do not help a worse candidate.
    expect(judgeCandidate(input({ live: compared(0.8, 0.85) })).missing).toBeNull();
  });

  it('does not refuse because of a metric that is only reported', () => {
    expect(judgeCandidate(input({ checks: [check('reported')] })).passed).toBe(true);
  });

  it('passes exactly when every check does', () => {
    const outcomes = fc.array(fc.constantFrom<GateCheck['outcome']>('passed', 'failed', 'reported'));
    void fc.assert(
      fc.property(outcomes, fc.double(), fc.double(), fc.double(), (others, candidate, live, constant) => {
        const verdict = judgeCandidate(
          input({
            live: compared(candidate, live),
            baseline: compared(candidate, constant),
            checks: others.map(check),
          }),
        );
        expect(verdict.passed).toBe(
          Number.isFinite(candidate - live) &&
            candidate - live >= 0 &&
            candidate > constant &&
            !others.includes('failed'),
        );
      }),
    );
  });

  it('has a metric for every task, with its direction', () => {
    expect(gateMetric('binary', undefined)).toBe('auc');
    expect(gateMetric('binary', 'log_loss')).toBe('log_loss');
    expect(Object.keys(LARGER_IS_BETTER).sort()).toEqual([...METRICS].sort());
  });
});
