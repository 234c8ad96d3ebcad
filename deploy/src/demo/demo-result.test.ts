import { describe, expect, it } from 'vitest';
import { demoResult, type Measured } from './demo-result.ts';

const sound: Measured = {
  predictions: 100,
  failed: 0,
  logged: 100,
  outcomes: 40,
  verdicts: [
    { version: 1, auc: 0.61234 },
    { version: 2, auc: 0.7 },
  ],
  swap: {
    ...{ from: 1, to: 2, failed_during: 0 },
    ...{ p50_ms_steady: 1.006, p99_ms_steady: 4.1234, p99_ms_training: 6, p99_ms_during: 9.9 },
  },
  perSecondDuring: 249.8,
  elapsedMs: 61_234,
  problem: undefined,
};

describe('demoResult', () => {
  it('is the documented object after a success', () => {
    expect(demoResult(sound)).toEqual({
      ok: true,
      predictions: 100,
      failed: 0,
      logged: 100,
      outcomes: 40,
      versions: [
        { version: 1, auc: 0.6123 },
        { version: 2, auc: 0.7 },
      ],
      swap: {
        ...{ from: 1, to: 2, failed_during: 0 },
        ...{ p50_ms_steady: 1.01, p99_ms_steady: 4.12, p99_ms_training: 6, p99_ms_during: 9.9 },
      },
      elapsed_s: 61.2,
    });
  });

  for (const [what, broken, reason] of [
    ['a failed prediction', { failed: 1 }, '1 predictions failed'],
    ['a prediction that is not logged', { logged: 99 }, '99 are logged'],
    ['a prediction that is logged twice', { logged: 101 }, '101 are logged'],
    ['no outcome', { outcomes: 0 }, 'no outcome'],
    ['no swap', { swap: null }, 'swapped'],
    ['a new version that is no better', { verdicts: [sound.verdicts[1]!, sound.verdicts[0]!] }, 'not better'],
    [
      'an AUC that is no number',
      { verdicts: [sound.verdicts[0]!, { version: 2, auc: Number.NaN }] },
      'not better',
    ],
    ['too little traffic through the swap', { perSecondDuring: 199 }, '200 are promised'],
    ['whatever kept the loop from closing', { problem: 'the gate refused' }, 'the gate refused'],
  ] as const) {
    it(`is not ok with ${what}, and says so`, () => {
      const result = demoResult({ ...sound, ...broken });
      expect(result.ok).toBe(false);
      expect(result.reason).toContain(reason);
    });
  }
});
