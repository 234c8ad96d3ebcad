import { describe, expect, it } from 'vitest';
import { openLoad } from './open-load.ts';

describe('open load', () => {
  it('keeps sending while a slow server has not answered, and counts the whole wait', async () => {
    const owed: PromiseWithResolvers<void>[] = [];
    const arrivals = await openLoad({
      perSecond: 200,
      seconds: 0.3,
      seed: 1,
      send(index) {
        const answer = Promise.withResolvers<void>();
        owed.push(answer);
        // Nothing is answered until 30 are waiting; a closed loop would wait forever.
        if (index >= 30) for (const one of owed.splice(0)) one.resolve();
        return answer.promise;
      },
    });
    expect(arrivals.length).toBeGreaterThan(30);
    expect(arrivals.every((arrival) => arrival.error === null && arrival.latencyMs >= 0)).toBe(true);
    expect(Math.max(...arrivals.map((arrival) => arrival.latencyMs))).toBeGreaterThan(20);
  });

  it('counts a failure as one', async () => {
    const arrivals = await openLoad({
      perSecond: 500,
      seconds: 0.1,
      seed: 2,
      send: async (index) => {
        if (index === 3) throw new Error('refused');
      },
    });
    expect(arrivals.filter((arrival) => arrival.error !== null).map((arrival) => arrival.error)).toEqual([
      'refused',
    ]);
  });
});
