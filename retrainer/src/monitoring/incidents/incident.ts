import type { Severity, Signal } from '../signals/signal.ts';

export type IncidentState = 'open' | 'acknowledged' | 'closed';
export type IncidentEvent = 'signal' | 'quiet' | 'acknowledge' | 'close';

/** What an event makes of an incident; null: nothing changes. An incident that is over is opened anew as another one. */
export const INCIDENT_TRANSITIONS: Readonly<
  Record<IncidentState, Readonly<Record<IncidentEvent, IncidentState | null>>>
> = {
  open: { signal: null, quiet: 'closed', acknowledge: 'acknowledged', close: 'closed' },
  acknowledged: { signal: null, quiet: 'closed', acknowledge: null, close: 'closed' },
  closed: { signal: null, quiet: null, acknowledge: null, close: null },
};

/** What an incident is estimated to cost while it lasts, in the model's metric. */
export interface Cost {
  readonly metric: string;
  /** How much worse; in the metric's unit, positive is a loss. */
  readonly loss: number;
  readonly low: number;
  readonly high: number;
  /** How it was found. */
  readonly method: string;
  /** False: the model has no labels yet, or its scores no calibration; `method` says which. */
  readonly known: boolean;
}

/** Signals with one cause, before they are matched with the incidents that are open. */
export interface IncidentDraft {
  readonly model: string;
  readonly cause: string;
  readonly title: string;
  readonly severity: Severity;
  readonly signals: readonly Signal[];
}

export interface Incident extends IncidentDraft {
  readonly id: string;
  readonly state: IncidentState;
  readonly cost: Cost | null;
  readonly evidence: Evidence;
  /** Grows with every change that is told. */
  readonly transition: number;
  readonly openedAt: number;
  readonly updatedAt: number;
  readonly closedAt: number | null;
  readonly acknowledgedBy: string | null;
  readonly acknowledgedAt: number | null;
  readonly escalatedAt: number | null;
  readonly note: string;
}

export interface Evidence {
  /** Predictions that show it; `hotloop trace ID` tells their story. */
  readonly examples?: readonly string[];
  readonly versions?: readonly number[];
  /** Of a schema change: where it began. */
  readonly producer?: { readonly topic: string; readonly field: string; readonly firstOffset: string };
  readonly action?: string;
}

const RANK: Readonly<Record<Severity, number>> = { info: 0, warning: 1, critical: 2 };

export function worst(signals: readonly Signal[]): Severity {
  return signals.reduce<Severity>(
    (worstYet, { severity }) => (RANK[severity] > RANK[worstYet] ? severity : worstYet),
    'info',
  );
}

/**
 * Groups signals by cause: those of one feature, and those of several features with one source where each is missing or
 * broken alike. What the model does (predictions, quality) is a consequence of a broken feature if there is one, and an
 * incident of its own only if there is none. Pure.
 */
export function groupSignals(model: string, signals: readonly Signal[]): IncidentDraft[] {
  const features = signals.filter((signal) => signal.feature !== null);
  const whole = signals.filter((signal) => signal.feature === null);
  const bySource = Map.groupBy(features, (signal) => signal.source);
  const groups = new Map<string, Signal[]>();
  for (const [source, own] of bySource) {
    const names = new Set(own.map(({ feature }) => feature));
    const isProducer = names.size > 1;
    for (const signal of own) {
      const cause = isProducer ? `source:${source}` : `feature:${signal.feature}`;
      groups.set(cause, [...(groups.get(cause) ?? []), signal]);
    }
  }
  for (const signal of whole) {
    const isConsequence =
      groups.size > 0 &&
      ['prediction_drift', 'estimated_decay', 'decay', 'domain_drift'].includes(signal.kind);
    if (isConsequence) {
      const [first] = [...groups.keys()].filter((cause) => !cause.startsWith('model:'));
      if (first !== undefined) {
        groups.set(first, [...groups.get(first)!, signal]);
        continue;
      }
    }
    const cause = `model:${signal.source}`;
    groups.set(cause, [...(groups.get(cause) ?? []), signal]);
  }
  return [...groups].map(([cause, own]) => ({
    model,
    cause,
    signals: own,
    severity: worst(own),
    title: titleOf(cause, own),
  }));
}

function titleOf(cause: string, signals: readonly Signal[]): string {
  const first = signals.toSorted((a, b) => RANK[b.severity] - RANK[a.severity])[0]!;
  if (!cause.startsWith('source:')) return first.message;
  const names = [...new Set(signals.flatMap(({ feature }) => (feature === null ? [] : [feature])))];
  return `${names.length} features from ${cause.slice(7)} changed together (${names.slice(0, 4).join(', ')}): ${first.message}`;
}
