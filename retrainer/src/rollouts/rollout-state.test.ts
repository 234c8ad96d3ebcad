import { describe, expect, it } from 'vitest';
import {
  eventOfReports,
  isRolloutEnded,
  ROLLOUT_EVENTS,
  ROLLOUT_STATES,
  ROLLOUT_TRANSITIONS,
  type RolloutState,
} from './rollout-state.ts';

const reports = (...states: string[]) =>
  states.map((state, index) => ({ node: `n${index}`, state, detail: '', reason: '' }));

describe('the states of a rollout', () => {
  it('have a transition for every state and event', () => {
    for (const state of ROLLOUT_STATES)
      expect(Object.keys(ROLLOUT_TRANSITIONS[state]).sort()).toEqual([...ROLLOUT_EVENTS].sort());
  });

  it('become live only through the flip, and flip only when every node is ready', () => {
    const into = (target: RolloutState) =>
      ROLLOUT_STATES.filter((state) => Object.values(ROLLOUT_TRANSITIONS[state]).includes(target));
    expect(into('live')).toEqual(['flipping']);
    expect(into('flipping')).toEqual(['ready', 'shadow', 'canary', 'measuring']);
    expect(into('canary')).toEqual(['ready', 'shadow', 'canary', 'held']);
    expect(into('reverting')).toEqual(['live']);
  });

  it('do not leave a final state', () => {
    for (const state of ROLLOUT_STATES.filter(isRolloutEnded))
      expect(Object.values(ROLLOUT_TRANSITIONS[state]).every((next) => next === null)).toBe(true);
  });
});

describe("the summary of the nodes' reports", () => {
  it.each([
    ['no node', [], 'node_loading'],
    ['one that said nothing', ['cold'], 'node_loading'],
    ['one loading', ['ready', 'loading'], 'node_loading'],
    ['one warming', ['ready', 'warming'], 'node_warming'],
    ['one draining', ['ready', 'draining'], 'node_loading'],
    ['all ready', ['ready', 'ready'], 'nodes_ready'],
    ['one failed', ['ready', 'failed'], 'node_failed'],
  ] as const)('%s', (_title, states, event) => {
    expect(eventOfReports(reports(...states))).toBe(event);
  });
});
