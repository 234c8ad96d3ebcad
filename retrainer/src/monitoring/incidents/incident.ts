import type { SignalKind } from '@hotloop/model/manifest/monitor-schema.ts';
import type { Producer, Severity, Signal } from '../signals/signal.ts';

export type IncidentState = 'open' | 'acknowledged' | 'closed';
export type IncidentEvent = 'signal' | 'quiet' | 'acknowledge' | 'close';

/** The next state for each event; null: no change. A closed incident is not reopened; a new one is opened. */
export const INCIDENT_TRANSITIONS: Readonly<
  Record<IncidentState, Readonly<Record<IncidentEvent, IncidentState | null>>>
> = {
  open: { signal: null, quiet: 'closed', acknowledge: 'acknowledged', close: 'closed' },
  acknowledged: { signal: null, quiet: 'closed', acknowledge: null, close: 'closed' },
  closed: { signal: null, quiet: null, acknowledge: null, close: null },
};

/** The estimated cost of an incident while it lasts, in the model's metric. */
export interface Cost {
  readonly metric: string;
  /** The loss in the metric's unit; positive means worse. */
  readonly loss: number;
  readonly low: number;
  readonly high: number;
  /** How the cost was estimated. */
  readonly method: string;
  /** False if the model has no labels yet, or its scores no calibration; `method` says which. */
  readonly known: boolean;
}

/** Signals with one cause, before they are matched with open incidents. */
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
  /** Increases with every change that is sent to receivers. */
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
  /** Example predictions; `hotloop trace ID` shows their history. */
  readonly examples?: readonly string[];
  readonly versions?: readonly number[];
  /** When the cause began, milliseconds since 1970; absent where it is not known. */
  readonly beganAt?: number;
  /** For a schema change: where it began. */
  readonly producer?: Producer;
  readonly action?: string;
}

/** Kinds of drift: of features, predictions, labels and the relation between them. */
export const DRIFT_KINDS: ReadonlySet<SignalKind> = new Set([
  'drift',
  'domain_drift',
  'prediction_drift',
  'label_drift',
  'concept_drift',
]);

/** Whether an incident costs something for certain: its loss is known, and the whole interval is above 0. */
export const costs = ({ cost }: Pick<Incident, 'cost'>): boolean =>
  cost?.known === true && cost.low > 0 && cost.loss > 0;

/** Incidents that may start a training run: one with decay measured on labels, one with drift that has a cost. Pure. */
export function lossesOf(open: readonly Pick<Incident, 'id' | 'signals' | 'cost'>[]): {
  readonly decay: string | null;
  readonly costlyDrift: string | null;
} {
  const first = (isOne: (incident: Pick<Incident, 'signals' | 'cost'>) => boolean) =>
    open.find(isOne)?.id ?? null;
  return {
    decay: first(({ signals }) => signals.some(({ kind }) => kind === 'decay')),
    costlyDrift: first(
      (incident) => costs(incident) && incident.signals.some(({ kind }) => DRIFT_KINDS.has(kind)),
    ),
  };
}

const RANK: Readonly<Record<Severity, number>> = { info: 0, warning: 1, critical: 2 };

export function worst(signals: readonly Signal[]): Severity {
  return signals.reduce<Severity>(
    (worstYet, { severity }) => (RANK[severity] > RANK[worstYet] ? severity : worstYet),
    'info',
  );
}

/** Kinds of signals about sources. They are the cause of signals about the features computed from them. */
const SOURCE_KINDS: ReadonlySet<SignalKind> = new Set(['schema', 'stale', 'late_events', 'join']);
/** Kinds of signals that are consequences of broken features. */
const CONSEQUENCES: ReadonlySet<SignalKind> = new Set([
  'prediction_drift',
  'estimated_decay',
  'decay',
  'concept_drift',
  'domain_drift',
]);

/**
 * Groups signals by cause: those of one feature, and those of several features with one source where each is missing or
 * broken in the same way, together with the signals about that source. A change of a producer's messages groups all features that read the fields.
 * Changed predictions and quality are consequences of a broken feature if there is one, and a separate incident only if
 * there is none. Pure.
 */
export function groupSignals(model: string, signals: readonly Signal[]): IncidentDraft[] {
  const features = signals.filter((signal) => signal.feature !== null);
  const whole = signals.filter((signal) => signal.feature === null);
  const groups = new Map<string, Signal[]>();
  const add = (cause: string, signal: Signal) => groups.set(cause, [...(groups.get(cause) ?? []), signal]);
  const causeOfSource = new Map<string, string>();
  const causeOfFeature = new Map<string, string>();
  const isSchema = ({ kind }: Signal) => kind === 'schema';
  const sources = [...Map.groupBy(features, (signal) => signal.source)].sort(
    ([, a], [, b]) => Number(b.some(isSchema)) - Number(a.some(isSchema)),
  );
  for (const [source, own] of sources) {
    const isProducer = new Set(own.map(({ feature }) => feature)).size > 1;
    for (const signal of own) {
      const feature = signal.feature!;
      const cause = causeOfFeature.get(feature) ?? (isProducer ? `source:${source}` : `feature:${feature}`);
      causeOfSource.set(source, cause);
      if (isSchema(signal)) causeOfFeature.set(feature, cause);
      add(cause, signal);
    }
  }
  const broken = [...groups].find(([, own]) => worst(own) !== 'info')?.[0];
  for (const signal of whole) {
    const ofSource = SOURCE_KINDS.has(signal.kind) ? causeOfSource.get(signal.source) : undefined;
    if (ofSource !== undefined) add(ofSource, signal);
    else if (broken !== undefined && CONSEQUENCES.has(signal.kind)) add(broken, signal);
    else {
      const isPart =
        signal.slice !== undefined &&
        !whole.some(({ kind, slice }) => kind === signal.kind && slice === undefined);
      add(isPart ? `slice:${signal.slice}` : `model:${signal.source}`, signal);
    }
  }
  return [...groups].map(([cause, own]) => ({
    model,
    cause,
    signals: own,
    severity: worst(own),
    title: titleOf(cause, own),
  }));
}

/** The signal that names an incident: causes before effects, then by severity. Undefined without signals. */
export function leadingSignal(signals: readonly Signal[]): Signal | undefined {
  const rank = ({ kind, severity }: Signal) =>
    (SOURCE_KINDS.has(kind) ? 3 : CONSEQUENCES.has(kind) ? -3 : 0) + RANK[severity];
  return signals.toSorted((a, b) => rank(b) - rank(a))[0];
}

function titleOf(cause: string, signals: readonly Signal[]): string {
  const first = leadingSignal(signals)!;
  if (!cause.startsWith('source:')) return first.message;
  const names = [...new Set(signals.flatMap(({ feature }) => (feature === null ? [] : [feature])))];
  return `${names.length} features from ${cause.slice(7)} changed together (${names.slice(0, 4).join(', ')}): ${first.message}`;
}
