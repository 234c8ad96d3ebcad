import { describe, expect, it } from 'vitest';
import {
  eventOfReports,
  PROMOTION_EVENTS,
  PROMOTION_STATES,
  PROMOTION_TRANSITIONS,
  type PromotionState,
} from './promotion-state.ts';

const reports = (...states: string[]) =>
  states.map((state, index) => ({ node: `n${index}`, state, detail: '', reason: '' }));

describe('the states of a promotion', () => {
  it('says of every state and event what follows', () => {
    for (const state of PROMOTION_STATES)
      expect(Object.keys(PROMOTION_TRANSITIONS[state]).sort()).toEqual([...PROMOTION_EVENTS].sort());
  });

  it('goes live only out of the flip, and flips only when ready', () => {
    const into = (target: PromotionState) =>
      PROMOTION_STATES.filter((state) => Object.values(PROMOTION_TRANSITIONS[state]).includes(target));
    expect(into('live')).toEqual(['flipping']);
    expect(into('flipping')).toEqual(['ready']);
  });

  it('does not leave its end', () => {
    for (const state of ['live', 'failed'] as const)
      expect(Object.values(PROMOTION_TRANSITIONS[state]).every((next) => next === null)).toBe(true);
  });
});

describe('what the reports of nodes amount to', () => {
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
