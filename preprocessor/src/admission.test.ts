import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Admission, type Admitted } from './admission.ts';

describe('admission', () => {
  it('never lets more in than its limits, and counts back to zero whatever was refused or released twice', () => {
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
            if (step === 'admit') admitted.push(admission.admit());
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

  it('refuses early what would be answered after its time, and only after it was busy for a while', () => {
    const admission = new Admission({ maxInFlight: 1000, maxCellsInFlight: 1 });
    const held = Array.from({ length: 200 }, () => admission.admit(100, 0));
    // 100 answers in 1000 ms: one that comes while 200 are in flight would wait 2 s.
    for (const one of held.splice(0, 100)) {
      one[Symbol.dispose]();
      held.push(admission.admit(100, 1));
    }
    expect(() => admission.admit(1000, 1001)).toThrow('too many predictions');
    held.push(admission.admit(3000, 1001));
    for (const one of held.splice(0, 180)) one[Symbol.dispose]();
    expect(() => admission.admit(10, 1002)).not.toThrow();
  });
});
