import { durationMs } from '@hotloop/model/manifest/duration.ts';
import { banditShare } from './bandit-share.ts';
import type { QualityVerdict } from './judge-quality.ts';
import type { Evidence, Rollout } from './rollout.ts';

/** A bandit's share is changed only by at least this much. */
const LEAST_SHARE_CHANGE = 0.02;

/**
 * Milliseconds until a serving rollout is checked again: when the evidence is due, or earlier if a timed step ends
 * before that.
 */
export function lookAgainMs(
  { plan, state, stepAt }: Rollout,
  now: number,
  { evidenceMs, pollMs }: { readonly evidenceMs: number; readonly pollMs: number },
): number {
  const isTimed = plan.mode === 'canary' && plan.advance === 'time' && state !== 'held';
  return isTimed ? Math.min(evidenceMs, Math.max(pollMs, stepAt + plan.everyMs - now)) : evidenceMs;
}

/** Milliseconds for which a version is watched after it became live. */
export function watchLeftMs(
  { flippedAt }: Rollout,
  { watch }: { readonly watch: string },
  now: number,
): number {
  return (flippedAt ?? now) + durationMs(watch) - now;
}

/** Why the present step ends now; null if it continues. */
export function advanceOf(
  { plan, state, stepAt }: Rollout,
  { traffic }: Evidence,
  verdict: QualityVerdict | null,
  now: number,
): string | null {
  if (plan.mode === 'shadow' || plan.mode === 'ab' || plan.advance === 'manual') return null;
  if (plan.mode === 'bandit' || plan.advance === 'evidence')
    return verdict?.kind === 'advance' ? verdict.message : null;
  if (plan.advance === 'requests')
    return (traffic?.requests ?? 0) >= plan.requests ? `${traffic?.requests} answers (${state})` : null;
  return now - stepAt >= plan.everyMs ? `${plan.everyMs} ms have passed (${state})` : null;
}

/** The new share of a bandit's version; null if the present one is close enough. */
export function banditShareOf(
  { plan, state, traffic }: Rollout,
  verdict: QualityVerdict | null,
): number | null {
  if (plan.mode !== 'bandit' || state !== 'measuring' || verdict === null) return null;
  const { candidate, live } = verdict.comparison;
  if (candidate.outcomes === 0 || live.outcomes === 0) return null;
  const share = banditShare(candidate, live);
  return Math.abs(share - (traffic?.arms[0]?.share ?? 0)) >= LEAST_SHARE_CHANGE ? share : null;
}

/** A sentence for people: what the rollout waits for. */
export function waitingMessage(
  rollout: Rollout,
  { traffic, outcomesPerDay }: Evidence,
  verdict: QualityVerdict | null,
): string {
  const { mode, advance, requests } = rollout.plan;
  const where = firstOf(rollout.message);
  if (mode === 'shadow' || mode === 'ab' || advance === 'manual')
    return `${where}; waits for a person${verdict ? `; ${verdict.message}` : ''}`;
  if (advance === 'requests') return `${where}; ${traffic?.requests ?? 0} of ${requests} answers`;
  if (advance === 'time') return where;
  if (verdict === null) return `${where}; waits for a person: the model has no outcomes to judge by`;
  if (verdict.needed === null) return `${where}; more outcomes alone will not do: ${verdict.message}`;
  const days = outcomesPerDay ? verdict.needed / outcomesPerDay : null;
  const time =
    days === null || !Number.isFinite(days) ? 'none come in now' : `${duration(days)} at the present rate`;
  return `${where}; waits for about ${verdict.needed} more outcomes (${time}): ${verdict.message}`;
}

/** The part of a message before what the rollout waits for, which changes often. */
function firstOf(message: string): string {
  return message.split(';')[0] ?? message;
}

function duration(days: number): string {
  if (days >= 1) return `${days.toFixed(1)} days`;
  if (days >= 1 / 24) return `${(days * 24).toFixed(1)} hours`;
  const minutes = Math.ceil(days * 1440);
  return minutes === 1 ? '1 minute' : `${minutes} minutes`;
}
