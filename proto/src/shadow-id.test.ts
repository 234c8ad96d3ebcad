import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPredictionId, predictionTimeMs, randomPredictionIds } from './prediction-id.ts';
import { shadowIdOf } from './shadow-id.ts';

describe('the id of a shadow answer', () => {
  it('is another id with the same time, one per version, from which the prediction can be found', () => {
    const ids = randomPredictionIds();
    const version = fc.integer({ min: 1, max: 1_000_000 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), version, version, (at, one, other) => {
        const id = ids.next(at);
        const shadow = shadowIdOf(id, one);
        expect(isPredictionId(shadow)).toBe(true);
        expect(predictionTimeMs(shadow)).toBe(at);
        expect(shadow).not.toBe(id);
        expect(shadowIdOf(shadow, one)).toBe(id);
        if (one !== other) expect(shadowIdOf(id, other)).not.toBe(shadow);
      }),
    );
  });
});
