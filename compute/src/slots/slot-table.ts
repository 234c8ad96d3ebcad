/** What a loaded version is doing. `gone` ends a slot; a version that is wanted again gets a new one. */
export const SLOT_STATES = ['cold', 'loading', 'warming', 'ready', 'draining', 'gone', 'failed'] as const;
export type SlotState = (typeof SLOT_STATES)[number];

/**
 * wanted, unwanted: what the registry or a caller asks for. loaded, warmed: the step in hand is done. refused: it cannot
 * be done. lost: the last runner has ended, by itself or for its memory. drained: nothing is in flight any
 * more and the time to drain has passed. retry: a failure's waiting time is over.
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

/** Every state knows every event; staying is an answer too. */
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
