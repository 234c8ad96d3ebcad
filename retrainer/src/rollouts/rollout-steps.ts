import type { RolloutGuards } from '@hotloop/model/manifest/rollout-schema.ts';
import type { Rollout, RolloutPlan, RolloutTrafficPart } from './rollout.ts';
import type { RolloutEvent } from './rollout-state.ts';

/** The next step of a rollout: an event, and the traffic from then on. */
export interface NextStep {
  readonly event: Extract<
    RolloutEvent,
    'shadow_begun' | 'canary_begun' | 'measuring_begun' | 'step_advanced' | 'flip_begun'
  >;
  readonly step: number;
  readonly traffic: RolloutTrafficPart | null;
  readonly message: string;
}

/** Guards of a rollout with traffic, if the version's manifest declares none. */
export const DEFAULT_GUARDS: RolloutGuards = {
  nonfinite: 0,
  metric_drop: 0.02,
  min_requests: 100,
  min_outcomes: 100,
  watch: '1h',
};

/** The step after every node is ready. Pure. */
export function firstStep({ plan, version, salt }: Rollout): NextStep {
  switch (plan.mode) {
    case 'at_once':
      return flipStep(0);
    case 'shadow':
      return shadowStep(version, salt, 'shadow_begun');
    case 'ab':
    case 'bandit':
      return { ...splitStep(version, salt, plan.share, 0), event: 'measuring_begun' };
    case 'canary':
      return canaryStep(plan, version, salt, 0, 'canary_begun');
  }
}

/** The step after the present one. Pure. */
export function stepAfter({ plan, version, salt, step }: Rollout): NextStep {
  if (plan.mode !== 'canary') return flipStep(step);
  return canaryStep(plan, version, salt, step + 1, 'step_advanced');
}

/** The share that the version would answer after the present step, from 0 to 1. Pure. */
export function nextShare(rollout: Rollout): number {
  const next = stepAfter(rollout);
  return next.event === 'flip_begun' ? 1 : (next.traffic?.arms[0]?.share ?? 0);
}

function canaryStep(
  plan: RolloutPlan,
  version: number,
  salt: string,
  step: number,
  event: 'canary_begun' | 'step_advanced',
): NextStep {
  const percent = plan.steps[step] ?? 100;
  if (percent >= 100) return flipStep(step);
  if (percent === 0) return shadowStep(version, salt, 'shadow_begun');
  return { ...splitStep(version, salt, percent / 100, step), event };
}

function shadowStep(version: number, salt: string, event: 'shadow_begun'): NextStep {
  return {
    event,
    step: 0,
    traffic: { kind: 'shadow', salt, arms: [{ version, share: 1 }] },
    message: `version ${version} gets a copy of every request`,
  };
}

function splitStep(version: number, salt: string, share: number, step: number): Omit<NextStep, 'event'> {
  return {
    step,
    traffic: { kind: 'split', salt, arms: [{ version, share }] },
    message: `version ${version} answers ${Number((share * 100).toFixed(2))} % of the entities`,
  };
}

function flipStep(step: number): NextStep {
  return { event: 'flip_begun', step, traffic: null, message: 'every node is ready; flipping' };
}
