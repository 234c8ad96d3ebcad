import { expect, it } from 'vitest';
import type { Signal } from '../signals/signal.ts';
import { groupSignals } from './incident.ts';

const signal: Signal = {
  ...{ kind: 'missing', feature: 'x', source: 'request.x', effect: 0.5, low: 0.4, high: 0.6, unit: 'share' },
  ...{ threshold: 0.02, p: 1e-20, n: 600, severity: 'warning', message: 'x is missing in 50 % of rows' },
};

it('names an incident by its cause, also when a consequence is more severe', () => {
  const decay: Signal = {
    ...{ ...signal, kind: 'decay', feature: null, source: 'quality', severity: 'critical' },
    message: 'auc fell from 0.9 to 0.8',
  };
  const drafts = groupSignals('m', [decay, signal]);
  expect(drafts).toHaveLength(1);
  expect(drafts[0]).toMatchObject({ cause: 'feature:x', severity: 'critical', title: signal.message });
});
