/**
 * Whether a store is worth asking. closed: asked. open: not asked until `untilMs`. probing: one question is on its
 * way, and nobody else asks.
 */
export type CircuitState =
  | { readonly kind: 'closed'; readonly failures: number }
  | { readonly kind: 'open'; readonly untilMs: number }
  | { readonly kind: 'probing' };

export type CircuitEvent = 'asked' | 'succeeded' | 'failed';

export interface CircuitPolicy {
  /** Failures in a row that open the circuit. */
  readonly failures: number;
  /** How long an open circuit spares the store. */
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

/** Every state by every event. What was asked before the circuit opened may still answer after it. */
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

/** Whether one may ask now. */
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
