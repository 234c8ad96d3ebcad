/** Where a promotion stands. The last two are the end. `flipping` is the moment of the compare-and-swap. */
export const PROMOTION_STATES = [
  'requested',
  'loading',
  'warming',
  'ready',
  'flipping',
  'live',
  'failed',
] as const;
export type PromotionState = (typeof PROMOTION_STATES)[number];

/** What can happen to a promotion. `overtaken`: another promotion or rollback changed the model first. */
export const PROMOTION_EVENTS = [
  'target_set',
  'node_loading',
  'node_warming',
  'nodes_ready',
  'node_failed',
  'timed_out',
  'overtaken',
  'flip_begun',
  'flipped',
] as const;
export type PromotionEvent = (typeof PROMOTION_EVENTS)[number];

const none = {
  target_set: null,
  node_loading: null,
  node_warming: null,
  nodes_ready: null,
  node_failed: null,
  timed_out: null,
  overtaken: null,
  flip_begun: null,
  flipped: null,
} as const;

const waiting = {
  ...none,
  node_loading: 'loading',
  node_warming: 'warming',
  nodes_ready: 'ready',
  node_failed: 'failed',
  timed_out: 'failed',
  overtaken: 'failed',
} as const;

/** Every state and event; null where the event cannot happen. A node that joins late takes `ready` back to `loading`. */
export const PROMOTION_TRANSITIONS: Record<PromotionState, Record<PromotionEvent, PromotionState | null>> = {
  requested: { ...none, target_set: 'loading', overtaken: 'failed' },
  loading: waiting,
  warming: waiting,
  ready: { ...waiting, flip_begun: 'flipping' },
  flipping: { ...none, flipped: 'live', overtaken: 'failed' },
  live: none,
  failed: none,
};

/** What one compute node said last of the version. `cold`: it said nothing yet. */
export interface NodeReport {
  readonly node: string;
  readonly state: string;
  readonly detail: string;
  /** The failure as a word, such as golden_mismatch; may be empty. */
  readonly reason: string;
}

/** The event that the nodes' reports amount to. Pure. No node at all is still loading: one may be starting. */
export function eventOfReports(
  reports: readonly NodeReport[],
): Extract<PromotionEvent, 'node_loading' | 'node_warming' | 'nodes_ready' | 'node_failed'> {
  if (reports.some((report) => report.state === 'failed')) return 'node_failed';
  if (reports.length > 0 && reports.every((report) => report.state === 'ready')) return 'nodes_ready';
  const isLoaded = reports.every((report) => report.state === 'ready' || report.state === 'warming');
  return reports.length > 0 && isLoaded ? 'node_warming' : 'node_loading';
}
