import type { CompiledFeature } from './compile-feature.ts';
import type { ExcludeSource } from './exclude-source.ts';
import { HISTORY_AGE_MS, HISTORY_EVENTS, type HistoryRead } from './history.ts';

/** One (entity, event type) that a plan reads, wide enough for every feature that uses it. */
export interface PlannedRead {
  readonly entity: string;
  readonly event: string;
  /** Read once per candidate. */
  readonly perCandidate: boolean;
  readonly windowMs: number;
  readonly limit: number;
  /** How many of the newest events must be returned as events; when fewer than `limit`, older ones may be summaries. */
  readonly events: number;
  /** Starts of windows, as milliseconds before now. */
  readonly edgesMs: readonly number[];
  readonly fields: boolean;
}

interface Identified {
  readonly entities: Readonly<Record<string, string>>;
  readonly candidates: readonly { readonly id: string }[];
}

/**
 * Merges the needs of features and decision.rank.exclude into one read per (entity, event type). `readOf` contains
 * each feature's read, -1 for a feature without one. Reads of a single entity come before those of the candidates.
 */
export function planHistoryReads(
  features: readonly CompiledFeature[],
  exclude: ExcludeSource | undefined,
): { reads: readonly PlannedRead[]; readOf: Int32Array; excludeRead: number } {
  const merged = new Map<string, PlannedRead>();
  const keyOf = (entity: string, event: string) => `${entity}.${event}`;
  const need = (read: PlannedRead) => {
    const key = keyOf(read.entity, read.event);
    const other = merged.get(key);
    merged.set(key, {
      ...read,
      windowMs: Math.max(read.windowMs, other?.windowMs ?? 0),
      limit: Math.max(read.limit, other?.limit ?? 0),
      events: Math.max(read.events, other?.events ?? 0),
      edgesMs: [...new Set([...read.edgesMs, ...(other?.edgesMs ?? [])])],
      fields: read.fields || other?.fields === true,
    });
  };
  for (const { source, shared } of features)
    if (source.history) {
      const { edgeMs, ...rest } = source.history;
      need({ ...rest, edgesMs: Number.isFinite(edgeMs) ? [edgeMs] : [], perCandidate: !shared });
    }
  if (exclude)
    need({
      entity: exclude.entity,
      event: exclude.event,
      perCandidate: false,
      windowMs: HISTORY_AGE_MS,
      limit: HISTORY_EVENTS,
      events: HISTORY_EVENTS,
      edgesMs: [],
      fields: true,
    });
  const entries = [...merged].sort(([, a], [, b]) => Number(a.perCandidate) - Number(b.perCandidate));
  const order = entries.map(([key]) => key);
  const readOf = Int32Array.from(features, ({ source }) =>
    source.history ? order.indexOf(keyOf(source.history.entity, source.history.event)) : -1,
  );
  const excludeRead = exclude ? order.indexOf(keyOf(exclude.entity, exclude.event)) : -1;
  return { reads: entries.map(([, read]) => read), readOf, excludeRead };
}

/** The reads of one prediction; entities that the caller did not name are left out. */
export function historyReads(
  planned: readonly PlannedRead[],
  input: Identified,
  nowMs: number,
): HistoryRead[] {
  const reads: HistoryRead[] = [];
  for (const { entity, event, perCandidate, windowMs, limit, events, edgesMs, fields } of planned) {
    const summarize =
      events < limit && limit > 1 ? { events, edgesMs: edgesMs.map((edge) => nowMs - edge) } : undefined;
    const read = {
      ...{ entity, event, sinceMs: nowMs - windowMs, limit, fields },
      ...(summarize === undefined ? {} : { summarize }),
    };
    if (perCandidate) for (const { id } of input.candidates) reads.push({ ...read, entityId: id });
    else {
      const entityId = input.entities[entity];
      if (entityId !== undefined) reads.push({ ...read, entityId });
    }
  }
  return reads;
}

/** Index of the first answer of each planned read; -1 when the caller did not name the entity. */
export function readOffsets(planned: readonly PlannedRead[], input: Identified, offsets: Int32Array): void {
  let next = 0;
  for (let at = 0; at < planned.length; at++) {
    const { perCandidate, entity } = planned[at] as PlannedRead;
    const isNamed = perCandidate || input.entities[entity] !== undefined;
    offsets[at] = isNamed ? next : -1;
    next += perCandidate ? input.candidates.length : Number(isNamed);
  }
}
