import type { AttributeValue } from '@hotloop/model/value.ts';

/** An outcome may look earlier than its prediction by this much: clocks of two machines. Earlier than that it is not its. */
export const CLOCK_SKEW_MS = 5_000;

/** The join key that names a candidate of a prediction, rather than one of its entities. */
export const ITEM_KEY = 'item';

/** What the join needs of one logged prediction. Times are milliseconds since 1970. */
export interface JoinPrediction {
  readonly predictionId: string;
  readonly at: number;
  readonly entities: Readonly<Record<string, string>>;
  /** Ids of the rows when they are candidates, else empty. */
  readonly candidates: readonly string[];
  readonly rows: number;
  /** The candidates that were shown; null when that is not known. One that was not shown never takes the default. */
  readonly shown: ReadonlySet<string> | null;
}

/** One report of what happened, as it came. Never changed: corrections and retractions are further events. */
export interface OutcomeEvent {
  readonly id: string;
  readonly source: string;
  readonly kind: 'label' | 'retract';
  readonly predictionId: string | null;
  readonly keys: Readonly<Record<string, string>>;
  readonly value: AttributeValue | null;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly occurredAt: number;
}

export interface JoinSpec {
  /** Declared join keys; empty when outcomes name their prediction. */
  readonly keys: readonly string[];
  readonly windowMs: number;
  /** Label of a row unanswered when its window ends; null when there is none. */
  readonly otherwise: number | null;
  /** The label an event gives, or null when it gives none (an event that `positive` judges false). Pure. */
  readonly labelOf: (event: OutcomeEvent) => number | null;
}

/** One row of one prediction whose label is known. */
export interface LabelledExample {
  readonly predictionId: string;
  readonly row: number;
  readonly at: number;
  readonly label: number;
  /** The event that decided, or null for the default label. */
  readonly outcome: OutcomeEvent | null;
  /** The window had not ended at `now`: rows that will take the default label are still missing beside this one. */
  readonly open: boolean;
}

export type UnmatchedReason = 'unknown_prediction' | 'no_row' | 'too_early' | 'outside_window';

export interface JoinResult {
  /** In the order of prediction time, then id, then row. */
  readonly examples: readonly LabelledExample[];
  /** Rows without a label whose window is still open. */
  readonly pending: number;
  /** Rows without a label whose window has ended and for which no default is declared or allowed. */
  readonly unanswered: number;
  /** Events that belong to no prediction given, in the order of their time. */
  readonly unmatched: readonly { readonly event: OutcomeEvent; readonly reason: UnmatchedReason }[];
}

interface Row {
  readonly prediction: JoinPrediction;
  readonly row: number;
  analyst: OutcomeEvent | null;
  automatic: OutcomeEvent | null;
}

/** An analyst's word outweighs whatever was observed automatically, however late it comes. */
export function isAnalyst(source: string): boolean {
  return source === 'analyst' || source.startsWith('analyst:');
}

/**
 * Matches outcome events to predictions. A pure function: the order in which events arrived, and how often, changes
 * nothing; with the same events a later `now` only adds labels.
 *
 * A row's label is the latest event inside its window (`at - 5 s` to `at + window`), an analyst's before an automatic
 * one. A retraction withdraws what its own kind of source had said before it. An event matches every prediction whose
 * window holds it, so that a prediction's label does not depend on its neighbours. What an analyst says about, and what
 * is retracted from, a prediction named by its id counts after the window as well. A row that nobody answered takes
 * `otherwise` once its window has ended, not before.
 */
export function joinOutcomes(
  predictions: readonly JoinPrediction[],
  events: readonly OutcomeEvent[],
  spec: JoinSpec,
  now: number,
): JoinResult {
  const index = indexRows(predictions, spec.keys);
  const unmatched: { event: OutcomeEvent; reason: UnmatchedReason }[] = [];
  for (const event of inOrder(events)) {
    if (event.kind === 'label' && spec.labelOf(event) === null) continue;
    const { rows, reason } = rowsOf(event, index, spec.keys);
    const timely = timelyRows(event, rows, spec.windowMs);
    if (timely.length === 0) unmatched.push({ event, reason: reason ?? reasonOf(event, rows) });
    // Events come in ascending order, so the last one written is the latest.
    for (const row of timely) row[isAnalyst(event.source) ? 'analyst' : 'automatic'] = event;
  }
  return { ...label(index.all, spec, now), unmatched };
}

function label(rows: readonly Row[], spec: JoinSpec, now: number): Omit<JoinResult, 'unmatched'> {
  const examples: LabelledExample[] = [];
  let pending = 0;
  let unanswered = 0;
  for (const row of rows) {
    const { predictionId, at } = row.prediction;
    const open = now < at + spec.windowMs;
    const outcome = answerOf(row);
    const value = outcome === null ? null : spec.labelOf(outcome);
    if (value !== null) examples.push({ predictionId, row: row.row, at, label: value, outcome, open });
    else if (open) pending++;
    else if (spec.otherwise !== null && wasShown(row))
      examples.push({ predictionId, row: row.row, at, label: spec.otherwise, outcome: null, open });
    else unanswered++;
  }
  return { examples, pending, unanswered };
}

function answerOf(row: Row): OutcomeEvent | null {
  if (row.analyst?.kind === 'label') return row.analyst;
  return row.automatic?.kind === 'label' ? row.automatic : null;
}

function wasShown({ prediction, row }: Row): boolean {
  const candidate = prediction.candidates[row];
  return candidate === undefined || prediction.shown === null || prediction.shown.has(candidate);
}

/** Rows stand in the order of prediction time. */
interface RowIndex {
  readonly all: readonly Row[];
  readonly byId: ReadonlyMap<string, readonly Row[]>;
  readonly byKeys: ReadonlyMap<string, readonly Row[]>;
}

function indexRows(predictions: readonly JoinPrediction[], keys: readonly string[]): RowIndex {
  const all: Row[] = [];
  const byId = new Map<string, Row[]>();
  const byKeys = new Map<string, Row[]>();
  const sorted = [...predictions].sort((a, b) => a.at - b.at || compare(a.predictionId, b.predictionId));
  for (const prediction of sorted) {
    if (byId.has(prediction.predictionId)) continue;
    const own: Row[] = [];
    for (let row = 0; row < prediction.rows; row++) {
      const entry: Row = { prediction, row, analyst: null, automatic: null };
      own.push(entry);
      all.push(entry);
      const tuple = keys.length === 0 ? null : tupleOf(prediction, row, keys);
      if (tuple === null) continue;
      const same = byKeys.get(tuple);
      if (same) same.push(entry);
      else byKeys.set(tuple, [entry]);
    }
    byId.set(prediction.predictionId, own);
  }
  return { all, byId, byKeys };
}

/** The values of the join keys for one row, or null when it has none: a row among candidates needs the item's key. */
function tupleOf(prediction: JoinPrediction, row: number, keys: readonly string[]): string | null {
  const candidate = prediction.candidates[row];
  if (candidate !== undefined && prediction.rows > 1 && !keys.includes(ITEM_KEY)) return null;
  return tuple(keys, (key) =>
    key === ITEM_KEY && candidate !== undefined ? candidate : own(prediction.entities, key),
  );
}

function tuple(keys: readonly string[], read: (key: string) => string | undefined): string | null {
  const values = keys.map(read);
  return values.includes(undefined) ? null : JSON.stringify(values);
}

function own(record: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

function rowsOf(
  event: OutcomeEvent,
  index: RowIndex,
  keys: readonly string[],
): { rows: readonly Row[]; reason?: UnmatchedReason } {
  if (event.predictionId === null) {
    const wanted = tuple(keys, (key) => own(event.keys, key));
    const rows = wanted === null || keys.length === 0 ? undefined : index.byKeys.get(wanted);
    return rows ? { rows } : { rows: [], reason: 'unknown_prediction' };
  }
  const rows = index.byId.get(event.predictionId);
  if (!rows) return { rows: [], reason: 'unknown_prediction' };
  const item = own(event.keys, ITEM_KEY);
  const isAmongCandidates = (rows[0]?.prediction.candidates.length ?? 0) > 0;
  if (item !== undefined && isAmongCandidates) {
    const found = rows.filter((row) => row.prediction.candidates[row.row] === item);
    return found.length > 0 ? { rows: found } : { rows: [], reason: 'no_row' };
  }
  return rows.length === 1 ? { rows } : { rows: [], reason: 'no_row' };
}

/** The rows whose window holds the event. Found by bisection: a busy user has as many predictions as events. */
function timelyRows(event: OutcomeEvent, rows: readonly Row[], windowMs: number): readonly Row[] {
  const isExempt = event.predictionId !== null && (event.kind === 'retract' || isAnalyst(event.source));
  if (rows.length === 1) {
    const { at } = rows[0]!.prediction;
    const isTimely =
      at <= event.occurredAt + CLOCK_SKEW_MS && (isExempt || at >= event.occurredAt - windowMs);
    return isTimely ? rows : [];
  }
  const from = isExempt ? 0 : firstAtOrAfter(rows, event.occurredAt - windowMs);
  // Times are whole milliseconds.
  return rows.slice(from, firstAtOrAfter(rows, event.occurredAt + CLOCK_SKEW_MS + 1));
}

function firstAtOrAfter(rows: readonly Row[], at: number): number {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle]!.prediction.at < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

function reasonOf(event: OutcomeEvent, rows: readonly Row[]): UnmatchedReason {
  const isEarly = rows[0] === undefined || event.occurredAt < rows[0].prediction.at - CLOCK_SKEW_MS;
  return isEarly ? 'too_early' : 'outside_window';
}

/** Ascending by time of the event, not of its arrival; each report once. */
function inOrder(events: readonly OutcomeEvent[]): OutcomeEvent[] {
  const sorted = [...events].sort(
    (a, b) =>
      a.occurredAt - b.occurredAt ||
      // Of two at the same moment the retraction is the later: it can only speak of something said.
      Number(a.kind === 'retract') - Number(b.kind === 'retract') ||
      compare(a.source, b.source) ||
      compare(a.id, b.id),
  );
  const seen = new Map<string, Set<string>>();
  return sorted.filter(({ source, id }) => {
    const ids = seen.get(source) ?? new Set();
    if (ids.size === 0) seen.set(source, ids);
    const isNew = !ids.has(id);
    if (isNew) ids.add(id);
    return isNew;
  });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
