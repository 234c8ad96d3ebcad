import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Admission, type Admitted } from './admission.ts';

describe('admission', () => {
  it('never admits more than its limits, and counts back to zero whatever was rejected or released twice', () => {
    const steps = fc.array(
      fc.tuple(
        fc.constantFrom('admit', 'hold', 'release', 'release'),
        fc.nat(3),
        fc.integer({ min: 0, max: 60 }),
      ),
      { maxLength: 60, size: 'max' },
    );
    fc.assert(
      fc.property(steps, (given) => {
        const limits = { maxInFlight: 3, maxCellsInFlight: 100 };
        const admission = new Admission(limits);
        const admitted: Admitted[] = [];
        for (const [step, which, cells] of given) {
          try {
            if (step === 'admit') admitted.push(admission.admit('model', 1000, 0));
            else if (step === 'hold') admitted[which]?.hold(cells);
            else admitted[which]?.[Symbol.dispose]();
          } catch (error) {
            expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
          }
          expect(admission.inFlight).toBeLessThanOrEqual(limits.maxInFlight);
          expect(admission.cells).toBeLessThanOrEqual(limits.maxCellsInFlight);
        }
        for (const one of admitted) one[Symbol.dispose]();
        expect([admission.inFlight, admission.cells]).toEqual([0, 0]);
      }),
    );
  });

  it('limits only a model that answers late', () => {
    const admission = new Admission({ maxInFlight: 1000, maxCellsInFlight: 1 });
    const held = Array.from({ length: 200 }, () => admission.admit('slow', 1000, 0));
    for (const [at, one] of held.splice(0, 100).entries()) {
      one.answered(9 * at);
      one[Symbol.dispose]();
    }
    // About 11 answers in each 100 ms: with 100 in flight, one more would wait for about 900 ms.
    expect(admission.refusal('slow', 1000, 901)).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'overloaded',
      retryAfterMs: expect.any(Number),
    });
    expect(() => admission.admit('slow', 1000, 901)).toThrow('too long to answer in time');
    held.push(admission.admit('slow', 5000, 901), admission.admit('quick', 1000, 901));
    for (const one of held) one[Symbol.dispose]();
    expect(() => admission.admit('slow', 1000, 902)).not.toThrow();
  });

  it('remembers a bounded number of unknown names', () => {
    const admission = new Admission({ maxInFlight: 10, maxCellsInFlight: 1 });
    for (let index = 0; index < 5000; index++) admission.admit(`m${index}`, 1000, index)[Symbol.dispose]();
    expect(admission.inFlight).toBe(0);
  });
});
