import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { TriggerSpec } from '@hotloop/model/manifest/trigger-schema.ts';
import { MINUTE_MS } from '@hotloop/proto/time-units.ts';

/** What a trigger looks at. Times are milliseconds since 1970. */
export interface TriggerFacts {
  /** A run of the model has not ended. */
  readonly busy: boolean;
  /** Sequence of the newest outcome that any dataset of the model could have held. */
  readonly cut: number;
  /** Outcomes after it. */
  readonly newLabels: number;
  /** When the last run was asked for, or else when the live version was registered. */
  readonly lastAt: number;
  /** Runs that were asked for in the last 24 hours. */
  readonly runsToday?: number;
  /** The open incident that measured, with labels, that the live version is worse. */
  readonly decay?: string | null;
  /** The open incident of a drift that costs, measured or estimated. */
  readonly costlyDrift?: string | null;
}

export interface DueRun {
  /** The same for every process that sees the same facts, so that several retrainers ask for one run. */
  readonly key: string;
  readonly reason: string;
}

/** Whether a run is due, and why. Pure. A failed run is not asked for again on the same labels. */
export function dueRun(trigger: TriggerSpec, facts: TriggerFacts, now: number): DueRun | null {
  if (heldBack(trigger, facts, now) !== null) return null;
  const { labels, every, decay, drift } = trigger;
  if (labels !== undefined && facts.newLabels >= labels) {
    const share = Math.floor(facts.newLabels / labels);
    return { key: `labels:${facts.cut}:${share}`, reason: `${facts.newLabels} new outcomes` };
  }
  // One run for each incident and state of the labels: a second without new labels would learn the same.
  if (decay === true && facts.decay && facts.newLabels > 0)
    return { key: `decay:${facts.decay}:${facts.cut}`, reason: 'the live version has measurably got worse' };
  if (drift === true && facts.costlyDrift && facts.newLabels > 0)
    return { key: `drift:${facts.costlyDrift}:${facts.cut}`, reason: 'features have drifted, and it costs' };
  if (every !== undefined && now - facts.lastAt >= durationMs(every))
    return { key: `every:${facts.lastAt}`, reason: `${every} since the last run` };
  return null;
}

/** Why nothing may start now, whatever the conditions say; null when nothing holds it back. */
function heldBack(trigger: TriggerSpec, facts: TriggerFacts, now: number): string | null {
  if (facts.busy) return 'a run has not ended';
  const { cooldown, per_day: perDay } = trigger;
  if (cooldown !== undefined && now - facts.lastAt < durationMs(cooldown))
    return `the cooldown of ${cooldown} ends in ${Math.ceil((durationMs(cooldown) - now + facts.lastAt) / MINUTE_MS)} min`;
  if (perDay !== undefined && (facts.runsToday ?? 0) >= perDay)
    return `the budget is spent: ${facts.runsToday} of ${perDay} runs in the last 24 hours`;
  return null;
}

/** One sentence for each condition, and for what holds back. Pure. */
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
