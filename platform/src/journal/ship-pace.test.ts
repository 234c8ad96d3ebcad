import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { busyMeter, restMs } from './ship-pace.ts';

const share = fc.double({ min: 0, max: 1, noNaN: true });

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
    expect(restMs(50, { busy: 0.9, backlog: 0 })).toBe(1_500);
    expect(restMs(60_000, { busy: 1, backlog: 0 })).toBe(3_000);
  });

  it('begins to rest from a third of the time on, and rests the longer the busier the machine, up to half of it', () => {
    expect(restMs(50, { busy: 0.425, backlog: 0 })).toBeCloseTo(750);
    expect(restMs(50, { busy: 0.38, backlog: 0 })).toBeCloseTo(300);
    expect(restMs(50, { busy: 0.5, backlog: 0 })).toBeCloseTo(1_500);
  });

  it('rests the less the more waits', () => {
    expect(restMs(50, { busy: 0.9, backlog: 0.125 })).toBe(750);
    fc.assert(
      fc.property(fc.nat(60_000), share, share, (ms, one, other) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        expect(restMs(ms, { busy: 1, backlog: more })).toBeLessThanOrEqual(
          restMs(ms, { busy: 1, backlog: less }),
        );
      }),
    );
  });

  it('keeps up in the end: a journal that fills faster than it is shipped is shipped without rest before it is full', () => {
    // One second of shipping carries 60 MB; 40 MB come each second; the bound is 4 GB.
    const bound = 4_000;
    let waiting = 0;
    let highest = 0;
    for (let second = 0; second < 3_600; ) {
      const rest = restMs(1_000, { busy: 1, backlog: waiting / bound }) / 1_000;
      waiting = Math.max(0, waiting - 60 + 40 * (1 + rest));
      second += 1 + rest;
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
