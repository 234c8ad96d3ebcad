import { describe, expect, it } from 'vitest';
import { didYouMean, nearestName } from './nearest-name.ts';

describe('the nearest known name', () => {
  it.each([
    ['churm', 'churn'],
    ['hcurn', 'churn'],
    ['product-rankr', 'product-ranker'],
    ['fraud', undefined],
    ['', undefined],
    ['ch', undefined],
  ])('of %j is %j', (unknown, expected) => {
    expect(nearestName(unknown, ['churn', 'product-ranker'])).toBe(expected);
  });

  it('is suggested as a question', () => {
    expect(didYouMean('churm', ['churn'])).toBe('; did you mean churn?');
    expect(didYouMean('x', ['churn'])).toBe('');
  });
});
