/**
 * State of a circuit breaker for a store. closed: requests are allowed. open: no requests until `untilMs`. probing:
 * one request is in flight, and no others are allowed.
 */
export type CircuitState =
  | { readonly kind: 'closed'; readonly failures: number }
  | { readonly kind: 'open'; readonly untilMs: number }
  | { readonly kind: 'probing' };

export type CircuitEvent = 'asked' | 'succeeded' | 'failed';

export interface CircuitPolicy {
  /** Consecutive failures that open the circuit. */
  readonly failures: number;
  /** How long an open circuit keeps requests away from the store. */
  readonly restMs: number;
}

type Transition<S> = (state: S, policy: CircuitPolicy, nowMs: number) => CircuitState;
type Transitions = {
  readonly [K in CircuitState['kind']]: Record<CircuitEvent, Transition<Extract<CircuitState, { kind: K }>>>;
};

const rest: Transition<unknown> = (_state, policy, nowMs) => ({
  kind: 'open',
  untilMs: nowMs + policy.restMs,
});
const close = (): CircuitState => ({ kind: 'closed', failures: 0 });

/** Every state by every event. A request sent before the circuit opened may still be answered after it. */
const TRANSITIONS: Transitions = {
  closed: {
    asked: (state) => state,
    succeeded: (state) => (state.failures === 0 ? state : close()),
    failed: (state, policy, nowMs) =>
      state.failures + 1 >= policy.failures
        ? rest(state, policy, nowMs)
        : { kind: 'closed', failures: state.failures + 1 },
  },
  open: {
    asked: (state, _policy, nowMs) => (nowMs >= state.untilMs ? { kind: 'probing' } : state),
    succeeded: (state) => state,
    failed: (state) => state,
  },
  probing: { asked: (state) => state, succeeded: close, failed: rest },
};

export const CLOSED_CIRCUIT: CircuitState = { kind: 'closed', failures: 0 };

/** Whether a request is allowed now. */
export function mayAsk(state: CircuitState, nowMs: number): boolean {
  return state.kind === 'closed' || (state.kind === 'open' && nowMs >= state.untilMs);
}

export function nextCircuit(
  state: CircuitState,
  event: CircuitEvent,
  policy: CircuitPolicy,
  nowMs: number,
): CircuitState {
  const transition = TRANSITIONS[state.kind][event] as Transition<CircuitState>;
  return transition(state, policy, nowMs);
}
