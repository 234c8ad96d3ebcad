/**
 * What a version on this node is doing:
 *
 *     cold --> loading --> warming --> ready <--> draining
 *                 ^ |         |          |           |
 *                 | v         v          |           v
 *                 failed <----+----------+          gone
 *
 * cold, loading, warming and failed also end in gone when the version is no longer wanted. `gone` ends a slot; a version that is wanted
 * again gets a new one. The data of each state is in slot.ts.
 */
export const SLOT_STATES = ['cold', 'loading', 'warming', 'ready', 'draining', 'gone', 'failed'] as const;
export type SlotState = (typeof SLOT_STATES)[number];

/**
 * wanted, unwanted: the registry or a caller needs the version, or neither does. loaded, warmed: this step has
 * succeeded. refused: this step has failed. lost: the last runner has ended, by itself or because of its memory.
 * drained: nothing is in flight and the drain time is over. retry: the wait after a failure is over.
 */
export const SLOT_EVENTS = [
  'wanted',
  'unwanted',
  'loaded',
  'warmed',
  'refused',
  'lost',
  'drained',
  'retry',
] as const;
export type SlotEvent = (typeof SLOT_EVENTS)[number];

/** The next state for every state and event; the same state means that the event changes nothing. */
export const SLOT_TABLE: Readonly<Record<SlotState, Readonly<Record<SlotEvent, SlotState>>>> = {
  cold: {
    wanted: 'loading',
    unwanted: 'gone',
    loaded: 'cold',
    warmed: 'cold',
    refused: 'cold',
    lost: 'cold',
    drained: 'cold',
    retry: 'cold',
  },
  loading: {
    wanted: 'loading',
    unwanted: 'gone',
    loaded: 'warming',
    warmed: 'loading',
    refused: 'failed',
    lost: 'failed',
    drained: 'loading',
    retry: 'loading',
  },
  warming: {
    wanted: 'warming',
    unwanted: 'gone',
    loaded: 'warming',
    warmed: 'ready',
    refused: 'failed',
    lost: 'failed',
    drained: 'warming',
    retry: 'warming',
  },
  ready: {
    wanted: 'ready',
    unwanted: 'draining',
    loaded: 'ready',
    warmed: 'ready',
    refused: 'ready',
    lost: 'failed',
    drained: 'ready',
    retry: 'ready',
  },
  draining: {
    wanted: 'ready',
    unwanted: 'draining',
    loaded: 'draining',
    warmed: 'draining',
    refused: 'draining',
    lost: 'gone',
    drained: 'gone',
    retry: 'draining',
  },
  gone: {
    wanted: 'gone',
    unwanted: 'gone',
    loaded: 'gone',
    warmed: 'gone',
    refused: 'gone',
    lost: 'gone',
    drained: 'gone',
    retry: 'gone',
  },
  failed: {
    wanted: 'failed',
    unwanted: 'gone',
    loaded: 'failed',
    warmed: 'failed',
    refused: 'failed',
    lost: 'failed',
    drained: 'failed',
    retry: 'loading',
  },
};
