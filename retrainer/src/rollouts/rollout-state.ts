/**
 * State of a rollout. The last four are final.
 *
 *   requested -> approval -> loading -> warming -> ready -> flipping -> live -> settled
 *                                                    |-> shadow -> canary -> flipping
 *                                                    |-> measuring -> flipping
 *   shadow, canary, measuring <-> held;  anything before the flip -> aborted, rolled_back or failed;
 *   live -> reverting -> rolled_back
 *
 * `flipping` is the moment of the compare-and-swap. `live`: flipped, and watched by the guards. `measuring`: an A/B or bandit split.
 */
export const ROLLOUT_STATES = [
  'requested',
  'approval',
  'loading',
  'warming',
  'ready',
  'shadow',
  'canary',
  'measuring',
  'held',
  'flipping',
  'live',
  'reverting',
  'settled',
  'rolled_back',
  'aborted',
  'failed',
] as const;
export type RolloutState = (typeof ROLLOUT_STATES)[number];

/** What can happen to a rollout. `overtaken`: another promotion or rollback changed the model first. */
export const ROLLOUT_EVENTS = [
  'approval_needed',
  'approved',
  'target_set',
  'node_loading',
  'node_warming',
  'nodes_ready',
  'node_failed',
  'timed_out',
  'overtaken',
  'shadow_begun',
  'canary_begun',
  'measuring_begun',
  'step_advanced',
  'held',
  'shadow_resumed',
  'canary_resumed',
  'measuring_resumed',
  'aborted',
  'rolled_back',
  'breached',
  'flip_begun',
  'flipped',
  'reverted',
  'settled',
] as const;
export type RolloutEvent = (typeof ROLLOUT_EVENTS)[number];

const none = Object.fromEntries(ROLLOUT_EVENTS.map((event) => [event, null])) as Record<RolloutEvent, null>;

/** States before any node has to load the version. */
const early = { ...none, overtaken: 'failed', aborted: 'aborted', rolled_back: 'aborted' } as const;

const waiting = {
  ...early,
  node_loading: 'loading',
  node_warming: 'warming',
  nodes_ready: 'ready',
  node_failed: 'failed',
  timed_out: 'failed',
} as const;

/** States in which the version gets requests, as a shadow or visibly. */
const serving = {
  ...none,
  held: 'held',
  aborted: 'aborted',
  rolled_back: 'rolled_back',
  breached: 'rolled_back',
  overtaken: 'failed',
  flip_begun: 'flipping',
} as const;

/** The next state for every state and event; null if the event cannot happen. A node that joins late moves `ready` back to `loading`. */
export const ROLLOUT_TRANSITIONS: Record<RolloutState, Record<RolloutEvent, RolloutState | null>> = {
  requested: { ...early, approval_needed: 'approval', target_set: 'loading' },
  approval: { ...early, approved: 'requested' },
  loading: waiting,
  warming: waiting,
  ready: {
    ...waiting,
    shadow_begun: 'shadow',
    canary_begun: 'canary',
    measuring_begun: 'measuring',
    flip_begun: 'flipping',
  },
  shadow: { ...serving, step_advanced: 'canary' },
  canary: { ...serving, step_advanced: 'canary' },
  measuring: { ...serving, step_advanced: 'measuring' },
  held: {
    ...serving,
    held: null,
    flip_begun: null,
    shadow_resumed: 'shadow',
    canary_resumed: 'canary',
    measuring_resumed: 'measuring',
  },
  flipping: { ...none, flipped: 'live', overtaken: 'failed' },
  live: {
    ...none,
    settled: 'settled',
    overtaken: 'settled',
    breached: 'reverting',
    rolled_back: 'reverting',
  },
  reverting: { ...none, reverted: 'rolled_back', overtaken: 'settled' },
  settled: none,
  rolled_back: none,
  aborted: none,
  failed: none,
};

export function nextRolloutState(state: RolloutState, event: RolloutEvent): RolloutState | null {
  return ROLLOUT_TRANSITIONS[state][event];
}

export function isRolloutEnded(state: RolloutState): boolean {
  return state === 'settled' || state === 'rolled_back' || state === 'aborted' || state === 'failed';
}

export function isRolloutState(text: string): text is RolloutState {
  return (ROLLOUT_STATES as readonly string[]).includes(text);
}

/** The last report of one compute node about the version. `cold`: no report yet. */
export interface NodeReport {
  readonly node: string;
  readonly state: string;
  readonly detail: string;
  /** The reason of the failure, such as golden_mismatch; may be empty. */
  readonly reason: string;
}

/** The event that follows from the nodes' reports. Pure. Without any node it is still loading, because one may be starting. */
export function eventOfReports(
  reports: readonly NodeReport[],
): Extract<RolloutEvent, 'node_loading' | 'node_warming' | 'nodes_ready' | 'node_failed'> {
  if (reports.some((report) => report.state === 'failed')) return 'node_failed';
  if (reports.length > 0 && reports.every((report) => report.state === 'ready')) return 'nodes_ready';
  const isLoaded = reports.every((report) => report.state === 'ready' || report.state === 'warming');
  return reports.length > 0 && isLoaded ? 'node_warming' : 'node_loading';
}
