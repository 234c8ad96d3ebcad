import { describe, expect, it } from 'vitest';
import {
  isEnded,
  nextRunState,
  RUN_EVENTS,
  RUN_STATES,
  RUN_TRANSITIONS,
  type RunState,
} from './run-state.ts';

describe('the states of a training run', () => {
  it('says of every state and event what follows', () => {
    for (const state of RUN_STATES)
      expect(Object.keys(RUN_TRANSITIONS[state]).sort()).toEqual([...RUN_EVENTS].sort());
  });

  it('can be reached, and every one that is not the end can end', () => {
    const reached = new Set<RunState>(['requested']);
    for (const state of reached)
      for (const event of RUN_EVENTS) {
        const next = nextRunState(state, event);
        if (next) reached.add(next);
      }
    // A person may cancel in any state.
    expect([...reached, 'cancelled'].sort()).toEqual([...RUN_STATES].sort());
    for (const state of RUN_STATES) expect(nextRunState(state, 'failed') !== null).toBe(!isEnded(state));
  });

  it('does not leave its end', () => {
    for (const state of RUN_STATES.filter(isEnded))
      for (const event of RUN_EVENTS) expect(nextRunState(state, event)).toBeNull();
  });

  it('can be taken up again wherever a worker was lost, and never registers twice', () => {
    for (const state of RUN_STATES.filter((one) => !isEnded(one))) {
      const next = nextRunState(state, 'claimed');
      expect(next).toBe(state === 'promoting' ? 'promoting' : 'collecting');
    }
  });
});
