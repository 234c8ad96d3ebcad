import type { Span, Tracing } from '@hotloop/platform/telemetry/tracing.ts';

const SPAN: Span = { set: () => undefined, fail: () => undefined, end: () => undefined };

/** Tracing that records nothing. */
export function silentTracing(): Tracing {
  return {
    sampled: () => false,
    span: () => SPAN,
    flush: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}
