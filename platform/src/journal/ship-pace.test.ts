import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { busyMeter, LOOK_MS, type Pressure, paceOf } from './ship-pace.ts';

const share = fc.double({ min: 0, max: 1, noNaN: true });

function restMs(shipmentMs: number, pressure: Pressure): number {
  return paceOf(pressure).restMs(shipmentMs);
}

describe('the pace of shipping', () => {
  it('never rests on a machine that has time, nor once a quarter of the journal waits', () => {
    fc.assert(
      fc.property(fc.nat(60_000), share, (ms, any) => {
        expect(restMs(ms, { busy: any * 0.34, backlog: any })).toBe(0);
        expect(restMs(ms, { busy: any, backlog: 0.25 + any * 0.75 })).toBe(0);
      }),
    );
  });

  it('leaves most of the time to others on a busy machine, and never rests for long', () => {
    expect(restMs(10, { busy: 0.5, backlog: 0 })).toBeCloseTo(300);
    expect(restMs(10, { busy: 1, backlog: 0 })).toBeCloseTo(900);
    expect(restMs(60_000, { busy: 1, backlog: 0 })).toBe(3_000);
  });

  it('begins to rest from a third of the time on, and rests the longer the busier the machine', () => {
    expect(restMs(10, { busy: 0.38, backlog: 0 })).toBeCloseTo(60);
    expect(restMs(10, { busy: 0.425, backlog: 0 })).toBeCloseTo(150);
    expect(restMs(10, { busy: 0.725, backlog: 0 })).toBeCloseTo(600);
  });

  it('rests the less the more waits', () => {
    expect(restMs(10, { busy: 0.5, backlog: 0.125 })).toBeCloseTo(150);
    fc.assert(
      fc.property(fc.nat(60_000), share, share, (ms, one, other) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        expect(restMs(ms, { busy: 1, backlog: more })).toBeLessThanOrEqual(
          restMs(ms, { busy: 1, backlog: less }),
        );
      }),
    );
  });

  it('ships less at once the busier the machine, more the more waits, and never nothing', () => {
    expect(paceOf({ busy: 0.3, backlog: 0 }).part).toBe(1);
    expect(paceOf({ busy: 0.9, backlog: 0 }).part).toBe(1 / 16);
    expect(paceOf({ busy: 0.9, backlog: 0.25 }).part).toBe(1);
    fc.assert(
      fc.property(share, share, share, (busy, one, other) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        const { part } = paceOf({ busy, backlog: less });
        expect(part).toBeGreaterThanOrEqual(1 / 16);
        expect(part).toBeLessThanOrEqual(paceOf({ busy, backlog: more }).part);
        expect(paceOf({ busy: more, backlog: one }).part).toBeLessThanOrEqual(
          paceOf({ busy: less, backlog: one }).part,
        );
      }),
    );
  });

  it('keeps up in the end: a journal that fills faster than it is shipped is shipped without rest before it is full', () => {
    // The largest shipment carries 8 MB in 130 ms; 40 MB come each second; the bound is 4 GB.
    const bound = 4_000;
    let waiting = 0;
    let highest = 0;
    for (let ms = 0; ms < 3_600_000; ) {
      const pace = paceOf({ busy: 1, backlog: waiting / bound });
      const shipmentMs = 130 * pace.part;
      const all = shipmentMs + Math.max(LOOK_MS, pace.restMs(shipmentMs));
      waiting = Math.max(0, waiting - 8 * pace.part + 0.04 * all);
      ms += all;
      highest = Math.max(highest, waiting);
    }
    expect(highest).toBeGreaterThan(bound * 0.2);
    expect(highest).toBeLessThan(bound * 0.3);
  });
});

describe('the meter', () => {
  it('gives the share of time since the last look, over all processors', () => {
    const readings = [
      [{ times: { user: 0, idle: 0 } }, { times: { user: 0, idle: 0 } }],
      [{ times: { user: 30, idle: 70 } }, { times: { user: 90, idle: 10 } }],
      [{ times: { user: 30, idle: 170 } }, { times: { user: 90, idle: 110 } }],
      [{ times: { user: 30, idle: 170 } }, { times: { user: 90, idle: 110 } }],
    ];
    const busy = busyMeter(() => readings.shift() ?? []);
    expect(busy()).toBeCloseTo(0.6);
    expect(busy()).toBe(0);
    expect(busy()).toBe(0);
  });
});
