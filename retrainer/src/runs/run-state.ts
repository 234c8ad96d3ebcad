/** Where a training run stands. The last four are the end. */
export const RUN_STATES = [
  'requested',
  'collecting',
  'training',
  'judging',
  'registering',
  'promoting',
  'succeeded',
  'refused',
  'failed',
  'cancelled',
] as const;
export type RunState = (typeof RUN_STATES)[number];

/** A person's `cancelled` is no event: it ends the run from outside, whatever a worker does (`cancel-run.ts`). claimed: a worker begins, or begins again after another was lost. held: registered, and not to be promoted. */
export const RUN_EVENTS = [
  'claimed',
  'collected',
  'trained',
  'passed',
  'refused',
  'registered',
  'held',
  'promoted',
  'failed',
] as const;
export type RunEvent = (typeof RUN_EVENTS)[number];

const none = {
  claimed: null,
  collected: null,
  trained: null,
  passed: null,
  refused: null,
  registered: null,
  held: null,
  promoted: null,
  failed: null,
} as const;

/**
 * Every state and event; null where the event cannot happen. What a lost worker had in memory (rows, weights) is lost
 * with it, so a new claim begins by collecting again; only once the version is registered does it go on from there.
 * `refused` while collecting: too few examples to train on.
 */
export const RUN_TRANSITIONS: Record<RunState, Record<RunEvent, RunState | null>> = {
  requested: { ...none, claimed: 'collecting', failed: 'failed' },
  collecting: { ...none, claimed: 'collecting', collected: 'training', refused: 'refused', failed: 'failed' },
  training: { ...none, claimed: 'collecting', trained: 'judging', failed: 'failed' },
  judging: { ...none, claimed: 'collecting', passed: 'registering', refused: 'refused', failed: 'failed' },
  registering: {
    ...none,
    claimed: 'collecting',
    registered: 'promoting',
    held: 'succeeded',
    refused: 'refused',
    failed: 'failed',
  },
  promoting: { ...none, claimed: 'promoting', promoted: 'succeeded', failed: 'failed' },
  succeeded: none,
  refused: none,
  failed: none,
  cancelled: none,
};

export function nextRunState(state: RunState, event: RunEvent): RunState | null {
  return RUN_TRANSITIONS[state][event];
}

export function isEnded(state: RunState): boolean {
  return state === 'succeeded' || state === 'refused' || state === 'failed' || state === 'cancelled';
}

export function isRunState(text: string): text is RunState {
  return (RUN_STATES as readonly string[]).includes(text);
}
