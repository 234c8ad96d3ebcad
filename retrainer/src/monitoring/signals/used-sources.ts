import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { REQUEST_EVENT, requestEventOf } from '@hotloop/platform/postgres/event-shape-store.ts';

/** Events from which a model's features are computed. */
export interface UsedEvent {
  readonly event: string;
  /** The topic; absent for any topic. */
  readonly topic?: string;
  /** The source as named in signals of its features, such as `history.user.view`. */
  readonly source: string;
  /** Name for messages: `view events`. */
  readonly label: string;
  readonly features: readonly { readonly name: string; readonly fields: ReadonlySet<string> }[];
  /** Only a sample of each second is counted, so counts are not comparable. */
  readonly isSampled?: boolean;
}

/** A reference table that features read. */
export interface UsedTable {
  readonly table: string;
  readonly source: string;
  /** The feature with the shortest `max_age`, or the first. */
  readonly feature: string;
  readonly maxAgeMs: number | null;
}

const HISTORY = /^history\.([A-Za-z_]\w*)\.([A-Za-z_]\w*)\.(.+)$/;
const REFERENCE = /^reference\.([A-Za-z_]\w*)\./;
/** A field of the request that a feature reads, or of a candidate, which is counted as `item.NAME`. */
const REQUEST = /^request\.([A-Za-z_]\w*)$/;
const CANDIDATE = /^item\.[A-Za-z_]\w*$/;
const WORD = /[A-Za-z_]\w*/g;

/** The events and requests that a manifest's features read, with the fields. Pure. */
export function usedEvents({ name: model, features, kafka }: Manifest): UsedEvent[] {
  const bySource = new Map<string, { event: string; features: { name: string; fields: Set<string> }[] }>();
  for (const { name, from, where } of features) {
    const [, entity, event, call] = HISTORY.exec(from) ?? [];
    if (event === undefined || entity === undefined) continue;
    // `sum(price)` names a field, as does `event.price` in a condition.
    const inner = /\((.*)\)/.exec(call ?? '')?.[1] ?? '';
    const fields = new Set([
      ...(inner.match(WORD) ?? []),
      ...[...(where ?? '').matchAll(/event\.([A-Za-z_]\w*)/g)].map(([, field]) => field!),
    ]);
    // `history.user.buy.item` reads the field at its end.
    if (call !== undefined && /^\w+$/.test(call)) fields.add(call);
    const source = `history.${entity}.${event}`;
    const known = bySource.get(source) ?? { event, features: [] };
    known.features.push({ name, fields });
    bySource.set(source, known);
  }
  const events: UsedEvent[] = [...bySource].map(([source, { event, features: own }]) => ({
    ...{ event, source, label: `events ${event}`, features: own },
  }));
  const read = features.flatMap(({ name, from }) => {
    const field = REQUEST.exec(from)?.[1] ?? CANDIDATE.exec(from)?.[0];
    return field === undefined ? [] : [{ name, fields: new Set([field]) }];
  });
  if (kafka)
    events.push({
      ...{ event: REQUEST_EVENT, topic: kafka.requests, source: `topic ${kafka.requests}` },
      ...{ label: 'the requests', features: read },
    });
  if (read.length > 0)
    events.push({
      ...{ event: requestEventOf(model), source: 'requests', label: 'the requests', features: read },
      isSampled: true,
    });
  return events;
}

/** Pure. */
export function usedTables({ features }: Manifest): UsedTable[] {
  const tables = new Map<string, UsedTable>();
  for (const { name, from, max_age } of features) {
    const table = REFERENCE.exec(from)?.[1];
    if (table === undefined) continue;
    const maxAgeMs = max_age === undefined ? null : durationMs(max_age);
    const known = tables.get(table);
    if (!known || (maxAgeMs !== null && maxAgeMs < (known.maxAgeMs ?? Number.POSITIVE_INFINITY)))
      tables.set(table, { table, source: `reference.${table}`, feature: name, maxAgeMs });
  }
  return [...tables.values()];
}
