import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CircuitState, CLOSED_CIRCUIT, mayAsk, nextCircuit } from './circuit.ts';

const POLICY = { failures: 3, restMs: 100 };

describe('circuit', () => {
  it('opens after consecutive failures, allows one probe after its rest time, and closes when the probe succeeds', () => {
    let state: CircuitState = CLOSED_CIRCUIT;
    const on = (event: Parameters<typeof nextCircuit>[1], atMs: number) => {
      state = nextCircuit(state, event, POLICY, atMs);
    };
    on('failed', 0);
    on('failed', 0);
    on('succeeded', 0);
    on('failed', 0);
    on('failed', 0);
    expect(mayAsk(state, 0)).toBe(true);
    on('failed', 0);
    expect([mayAsk(state, 99), mayAsk(state, 100)]).toEqual([false, true]);
    on('asked', 100);
    expect(mayAsk(state, 100)).toBe(false);
    on('failed', 110);
    expect([mayAsk(state, 209), mayAsk(state, 210)]).toEqual([false, true]);
    on('asked', 210);
    on('succeeded', 211);
    expect(state).toEqual(CLOSED_CIRCUIT);
  });

  it('never has more than one probe in flight while it is open', () => {
    const events = fc.array(
      fc.tuple(fc.constantFrom('ask', 'succeed', 'fail'), fc.integer({ min: 0, max: 60 })),
      { maxLength: 60, size: 'max' },
    );
    fc.assert(
      fc.property(events, (steps) => {
        let state: CircuitState = CLOSED_CIRCUIT;
        let nowMs = 0;
        let probes = 0;
        for (const [step, later] of steps) {
          nowMs += later;
          if (step === 'ask') {
            if (!mayAsk(state, nowMs)) continue;
            const wasOpen = state.kind === 'open';
            state = nextCircuit(state, 'asked', POLICY, nowMs);
            if (wasOpen) probes++;
            expect(probes).toBeLessThanOrEqual(1);
          } else {
            if (state.kind === 'probing') probes = 0;
            state = nextCircuit(state, step === 'fail' ? 'failed' : 'succeeded', POLICY, nowMs);
          }
        }
      }),
    );
  });
});
