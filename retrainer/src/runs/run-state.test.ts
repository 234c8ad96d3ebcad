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
  it('have a transition for every state and event', () => {
    for (const state of RUN_STATES)
      expect(Object.keys(RUN_TRANSITIONS[state]).sort()).toEqual([...RUN_EVENTS].sort());
  });

  it('can all be reached, and all can end', () => {
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

  it('do not leave a final state', () => {
    for (const state of RUN_STATES.filter(isEnded))
      for (const event of RUN_EVENTS) expect(nextRunState(state, event)).toBeNull();
  });

  it('can be resumed wherever a worker was lost, and never register twice', () => {
    for (const state of RUN_STATES.filter((one) => !isEnded(one))) {
      const next = nextRunState(state, 'claimed');
      expect(next).toBe(state === 'promoting' ? 'promoting' : 'collecting');
    }
  });
});
