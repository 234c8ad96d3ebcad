import { expect, it } from 'vitest';
import type { Run } from '../api/types.ts';
import { axesOf } from './parallel-axes.ts';

const run = (runId: string, parameters: Record<string, unknown>, metrics: Record<string, number>) =>
  ({ runId, parameters, metrics, gate: null }) as unknown as Run;

it('draws axes for numbers that differ, and only runs that have them all', () => {
  const { axes, lines } = axesOf([
    run('a', { epochs: 3, optimizer: { adam: { learning_rate: 0.1 } }, loss: 'x' }, { auc: 0.7 }),
    run('b', { epochs: 3, optimizer: { adam: { learning_rate: 0.3 } } }, { auc: 0.9 }),
    run('c', {}, {}),
  ]);
  expect(axes).toEqual([
    { name: 'optimizer.adam.learning_rate', low: 0.1, high: 0.3 },
    { name: 'auc', low: 0.7, high: 0.9 },
  ]);
  expect(lines.map(({ runId, places }) => [runId, places])).toEqual([
    ['a', [0, 0]],
    ['b', [1, 1]],
  ]);
  expect(axesOf([])).toEqual({ axes: [], lines: [] });
});
