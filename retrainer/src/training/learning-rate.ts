import type { Schedule } from '@hotloop/model/training/training-settings.ts';

/**
 * The learning rate of a step: it rises linearly over the warm-up, then stays, falls linearly, or falls along half a cosine
 * (Loshchilov and Hutter 2017) towards 0 after the last step.
 *
 * @param step from 1 to `steps`, the steps of the whole run.
 */
export function learningRateAt(
  base: number,
  { kind, warmup }: Schedule,
  step: number,
  steps: number,
): number {
  if (step <= warmup) return (base * step) / (warmup + 1);
  const done = (step - 1 - warmup) / Math.max(steps - warmup, 1);
  switch (kind) {
    case 'constant':
      return base;
    case 'linear':
      return base * (1 - done);
    case 'cosine':
      return (base * (1 + Math.cos(Math.PI * done))) / 2;
  }
}
