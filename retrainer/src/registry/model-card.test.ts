import { expect, it } from 'vitest';
import { type ModelCard, modelCardMarkdown } from './model-card.ts';

const CARD: ModelCard = {
  ...{ model: 'churn', version: 2, isLive: true, description: '', task: 'binary', features: [] },
  ...{ outcome: { from: 'sdk', window: '7d' }, metrics: { auc: 0.812 }, lineage: [] },
  data: { datasetSha256: 'a'.repeat(64), trainedOn: 900, heldOut: 100 },
  ...{ digests: { bundle: 'b', onnx: 'o' }, labels: {}, note: '', limits: ['small'], history: [] },
  gate: {
    ...{ passed: true, metric: 'auc', candidate: 0.812, live: 0.79, improvement: 0.022, baseline: 0.5 },
    ...{ interval: { low: 0.01, high: 0.034 }, examples: 100, missing: null, message: 'passed: auc 0.812' },
    checks: [
      {
        ...{ name: 'slice country = IT', outcome: 'passed', candidate: 0.8, against: 0.77 },
        ...{ interval: { low: -0.01, high: 0.07 }, examples: 40, message: '' },
      },
    ],
  },
};

it('shows every check of the gate, including slices, with its interval', () => {
  const text = modelCardMarkdown(CARD);
  expect(text).toContain('| slice country = IT | passed | 0.8 | 0.77 | -0.01 to 0.07 | 40 |');
  expect(text).toContain('## Limits\n\n- small');
  expect(modelCardMarkdown({ ...CARD, gate: null })).not.toContain('Gate');
});
