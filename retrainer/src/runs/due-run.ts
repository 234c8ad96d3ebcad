import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { TriggerSpec } from '@hotloop/model/manifest/trigger-schema.ts';
import { MINUTE_MS } from '@hotloop/proto/time-units.ts';

/** Facts for a trigger. Times are milliseconds since 1970. */
export interface TriggerFacts {
  /** Whether a run of the model has not ended. */
  readonly busy: boolean;
  /** Sequence number of the newest outcome that was available to any dataset of the model so far. */
  readonly cut: number;
  /** Number of later outcomes. */
  readonly newLabels: number;
  /** When the last run was requested, or else when the live version was registered. */
  readonly lastAt: number;
  /** Number of runs requested in the last 24 hours. */
  readonly runsToday?: number;
  /** The open incident of decay of the live version, measured on labels. */
  readonly decay?: string | null;
  /** The open incident of a drift that has a cost, measured or estimated. */
  readonly costlyDrift?: string | null;
}

export interface DueRun {
  /** The same for the same facts in every process, so that several retrainers request only one run. */
  readonly key: string;
  readonly reason: string;
}

/** Whether a run is due, and why. Pure. A failed run is not requested again with the same labels. */
export function dueRun(trigger: TriggerSpec, facts: TriggerFacts, now: number): DueRun | null {
  if (heldBack(trigger, facts, now) !== null) return null;
  const { labels, every, decay, drift } = trigger;
  if (labels !== undefined && facts.newLabels >= labels) {
    const share = Math.floor(facts.newLabels / labels);
    return { key: `labels:${facts.cut}:${share}`, reason: `${facts.newLabels} new outcomes` };
  }
  // One run per incident and state of the labels: a second run without new labels would have the same result.
  if (decay === true && facts.decay && facts.newLabels > 0)
    return { key: `decay:${facts.decay}:${facts.cut}`, reason: 'the live version has measurably got worse' };
  if (drift === true && facts.costlyDrift && facts.newLabels > 0)
    return { key: `drift:${facts.costlyDrift}:${facts.cut}`, reason: 'features have drifted, and it costs' };
  if (every !== undefined && now - facts.lastAt >= durationMs(every))
    return { key: `every:${facts.lastAt}`, reason: `${every} since the last run` };
  return null;
}

/** Why no run may start now, whatever the conditions are; null if one may. */
function heldBack(trigger: TriggerSpec, facts: TriggerFacts, now: number): string | null {
  if (facts.busy) return 'a run has not ended';
  const { cooldown, per_day: perDay } = trigger;
  if (cooldown !== undefined && now - facts.lastAt < durationMs(cooldown))
    return `the cooldown of ${cooldown} ends in ${Math.ceil((durationMs(cooldown) - now + facts.lastAt) / MINUTE_MS)} min`;
  if (perDay !== undefined && (facts.runsToday ?? 0) >= perDay)
    return `the budget is spent: ${facts.runsToday} of ${perDay} runs in the last 24 hours`;
  return null;
}

/** One sentence for each condition, and for the reason against a run. Pure. */
export function explainTriggers(trigger: TriggerSpec, facts: TriggerFacts, now: number): string[] {
  const { labels, every, decay, drift } = trigger;
  const held = heldBack(trigger, facts, now);
  const waits = every === undefined ? 0 : durationMs(every) - (now - facts.lastAt);
  return [
    ...(held === null ? [] : [held]),
    ...(labels === undefined
      ? []
      : facts.newLabels >= labels
        ? [`labels: ${facts.newLabels} new ones, ${labels} are needed: due`]
        : [`labels: ${facts.newLabels} new ones of ${labels}; ${labels - facts.newLabels} are missing`]),
    ...(every === undefined
      ? []
      : [waits <= 0 ? `every ${every}: due` : `every ${every}: due in ${Math.ceil(waits / MINUTE_MS)} min`]),
    ...(decay === true
      ? [facts.decay ? withLabels('decay: measured', facts) : 'decay: monitoring has measured none']
      : []),
    ...(drift === true
      ? [facts.costlyDrift ? withLabels('drift: it costs', facts) : 'drift: none that costs is open']
      : []),
  ];
}

function withLabels(text: string, { newLabels }: TriggerFacts): string {
  return newLabels > 0 ? `${text}, and ${newLabels} new labels: due` : `${text}, but there are no new labels`;
}
