import { describe, expect, it } from 'vitest';
import { SLOT_EVENTS, SLOT_STATES, SLOT_TABLE, type SlotState } from './slot-table.ts';

function reachable(from: SlotState, avoiding: readonly SlotState[] = []): Set<SlotState> {
  const seen = new Set<SlotState>([from]);
  const open: SlotState[] = [from];
  for (let state = open.pop(); state; state = open.pop())
    for (const event of SLOT_EVENTS) {
      const next = SLOT_TABLE[state][event];
      if (seen.has(next) || avoiding.includes(next)) continue;
      seen.add(next);
      open.push(next);
    }
  return seen;
}

describe('slot table', () => {
  it('reaches every state from cold, and gone from every state', () => {
    expect([...reachable('cold')].sort()).toEqual([...SLOT_STATES].sort());
    for (const state of SLOT_STATES) expect(reachable(state).has('gone')).toBe(true);
  });

  it('never serves a version that was not loaded and warmed up first', () => {
    expect(reachable('cold', ['warming']).has('ready')).toBe(false);
    expect(reachable('cold', ['loading']).has('warming')).toBe(false);
  });

  it('never ends a serving version without draining it, except for a lost runner', () => {
    for (const event of SLOT_EVENTS) expect(SLOT_TABLE.ready[event]).not.toBe('gone');
    expect(SLOT_TABLE.ready.unwanted).toBe('draining');
    expect(SLOT_TABLE.draining.wanted).toBe('ready');
  });

  it('never leaves the state gone', () => {
    for (const event of SLOT_EVENTS) expect(SLOT_TABLE.gone[event]).toBe('gone');
  });
});
