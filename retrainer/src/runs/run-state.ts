/** State of a training run. The last four are final. */
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

/**
 * `cancelled` is not an event: a person ends the run, whatever the worker does (`cancel-run.ts`). claimed: a worker starts,
 * also after another was lost. held: registered, but not promoted.
 */
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
 * The next state for every state and event; null if the event cannot happen. The rows and weights in the memory of a lost worker
 * are lost, so a new claim starts with collecting; if the version is already registered, it continues from there.
 * `refused` while collecting: too few examples.
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
