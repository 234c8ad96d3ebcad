import { expect, it } from 'vitest';
import { runAgainst } from '../testing/run-against.ts';

const SELECTION = {
  ...{ model: 'churn', version: 3, metric: 'auc', value: 0.81234, rows: 500, note: '' },
  features: [
    { feature: 'price', importance: 0.2, error: 0.01, useless: false },
    { feature: 'shoe_size', importance: 0, error: null, useless: true },
  ],
  retrained: {
    ...{ kept: ['price'], with_all: 0.8, without_useless: 0.82 },
    interval: { low: -0.001, high: 0.04 },
  },
};

it('shows which features matter, and what a model without the others is worth', async () => {
  const ran = await runAgainst(['features', 'select', 'churn', '--repeats', '3'], {}, SELECTION);
  expect(ran.code).toBe(0);
  expect(ran.asked).toMatchObject([{ method: 'POST', url: '/v1/models/churn/features/select' }]);
  expect(JSON.parse(ran.asked[0]?.body ?? '')).toEqual({ repeats: 3, retrain: true });
  expect(ran.out).toContain('churn version 3: auc 0.8123 on 500 held-out rows');
  expect(ran.out).toMatch(/shoe_size +0 +- +useless/);
  expect(ran.out).toContain('0.8 with all features, 0.82 with 1 of them; better by -0.001 to 0.04 (95 %)');
  const json = await runAgainst(['--json', 'features', 'select', 'churn'], {}, SELECTION);
  expect(JSON.parse(json.out)).toEqual(SELECTION);
});

it('says why nothing was trained, and refuses too small a number of shuffles', async () => {
  const note = 'every feature matters';
  const ranked = { ...SELECTION, retrained: null, note };
  const ran = await runAgainst(['features', 'select', 'churn', '--no-retrain'], {}, ranked);
  expect(JSON.parse(ran.asked[0]?.body ?? '')).toEqual({ repeats: 5, retrain: false });
  expect(ran.out).toContain(`nothing was trained: ${note}`);
  for (const repeats of ['1', '2.5', 'many']) {
    const refused = await runAgainst(['features', 'select', 'churn', '--repeats', repeats], {}, {});
    expect(refused.code).not.toBe(0);
    expect(refused.err).toContain('must be a whole number above 1');
    expect(refused.asked).toEqual([]);
  }
});

it('fills the history with the events of a model, and reports what the front door refuses', async () => {
  const answer = { types: ['buy', 'view'], events: 1200, seconds: 1.25 };
  const ran = await runAgainst(
    ['features', 'backfill', 'a/b', '--since', '2026-01-15T00:00:00Z'],
    {},
    answer,
  );
  expect(ran.asked).toMatchObject([{ method: 'POST', url: '/v1/models/a%2Fb/backfill' }]);
  expect(JSON.parse(ran.asked[0]?.body ?? '')).toEqual({ since: '2026-01-15T00:00:00Z' });
  expect(ran.out).toContain('1200 events of buy, view are in the history, 1.3 s');
  const all = await runAgainst(['features', 'backfill', 'churn'], {}, answer);
  expect(JSON.parse(all.asked[0]?.body ?? '')).toEqual({});
  const problem = { code: 'INVALID_ARGUMENT', detail: 'since: must be RFC 3339', status: 400 };
  const refused = await runAgainst(['features', 'backfill', 'churn', '--since', 'now'], {}, problem, 400);
  expect(refused.code).not.toBe(0);
  expect(refused.err).toContain('since: must be RFC 3339');
});
