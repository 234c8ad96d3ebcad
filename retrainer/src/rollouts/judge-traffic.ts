import type { RolloutGuards } from '@hotloop/model/manifest/rollout-schema.ts';
import type { TrafficFacts } from './rollout.ts';

/** The first guard that the candidate's answers breach, as a sentence with the numbers; null if none. Pure. */
export function breachOf(facts: TrafficFacts, guards: RolloutGuards): string | null {
  const { requests, errors, nonfinite, p99Ms, drift } = facts;
  if (requests === 0) return null;
  if (nonfinite > 0 && nonfinite / requests > guards.nonfinite)
    return `${nonfinite} of ${requests} answers were not finite numbers; ${percent(guards.nonfinite)} are allowed`;
  if (requests < guards.min_requests) return null;
  if (guards.error_rate !== undefined && errors / requests > guards.error_rate)
    return `${errors} of ${requests} answers failed; ${percent(guards.error_rate)} are allowed`;
  if (guards.p99_ms !== undefined && p99Ms !== null && p99Ms > guards.p99_ms)
    return `p99 is ${p99Ms.toFixed(1)} ms over ${requests} answers; ${guards.p99_ms} ms are allowed`;
  if (guards.drift !== undefined && drift !== null && drift > guards.drift)
    return `the scores moved by a stability index of ${drift.toFixed(3)}; ${guards.drift} is allowed`;
  return null;
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(3))} %`;
}
