import type { SignalKind } from '@hotloop/model/manifest/monitor-schema.ts';
import { sharesDiffer, wilsonInterval } from '@hotloop/model/statistics/distributions.ts';
import type { EventShape, ShapeKind } from '@hotloop/platform/postgres/event-shape-store.ts';
import type { TableAge } from '@hotloop/platform/postgres/table-ages.ts';
import { percent } from './judge-features.ts';
import type { Producer, Severity, Signal } from './signal.ts';
import type { UsedEvent, UsedTable } from './used-sources.ts';

/** Now: the last half hour, in spans of ten minutes. Before: all that is kept, a week. */
const NOW_MS = 20 * 60_000;
const LEAST_NOW = 20;
const LEAST_BEFORE = 100;
/** A share of messages that changed by less is no change of a schema. */
const LEAST_CHANGE = 0.1;
const LATE_CHANGE = 0.1;
/** Judged every few minutes for every field, so chance must be left out well. */
const MOST_P = 1e-9;
/** A table is stale when it is this many times older than it usually gets. */
const STALE_TIMES = 3;
const HOUR_MS = 3_600_000;

/** What a producer changed in its messages, and messages that come late. Pure. */
export function judgeShapes(
  used: readonly UsedEvent[],
  shapes: readonly EventShape[],
  now: number,
): Signal[] {
  return used.flatMap((event) => {
    const own = shapes.filter(
      ({ topic, event: name }) =>
        name === event.event && (event.topic === undefined || topic === event.topic),
    );
    return [...Map.groupBy(own, ({ topic }) => topic).values()].flatMap((ofTopic) =>
      judgeEvent(event, ofTopic, now),
    );
  });
}

function judgeEvent(used: UsedEvent, shapes: readonly EventShape[], now: number): Signal[] {
  const isNow = ({ at }: EventShape) => at > now - NOW_MS - 10 * 60_000;
  const [recent, past] = [shapes.filter(isNow), shapes.filter((shape) => !isNow(shape))];
  const count = (from: readonly EventShape[], field: string, kind: ShapeKind) =>
    from.reduce((sum, one) => sum + (one.field === field && one.kind === kind ? one.messages : 0), 0);
  const [n, m] = [count(recent, '', 'message'), count(past, '', 'message')];
  if (n < LEAST_NOW || m < LEAST_BEFORE) return [];
  const signals: Signal[] = [];
  const late = { now: count(recent, '', 'late'), before: count(past, '', 'late') };
  if (late.now / n - late.before / m >= LATE_CHANGE && sharesDiffer(late.now, n, late.before, m) <= MOST_P)
    signals.push(
      signalOf('late_events', used, null, late.now, n, 'warning', {
        message: `${percent(late.now / n)} of the events ${used.event} come more than ten minutes late; ${percent(late.before / m)} before`,
      }),
    );
  for (const field of new Set(shapes.map((one) => one.field)))
    if (field !== '') {
      const change = fieldChange(field, { recent, past, n, m }, count);
      if (change) signals.push(changeSignal(used, field, change, n));
    }
  return signals;
}

interface Sides {
  readonly recent: readonly EventShape[];
  readonly past: readonly EventShape[];
  readonly n: number;
  readonly m: number;
}

interface Change {
  readonly what: string;
  readonly messages: number;
  readonly severity: Severity;
  readonly first: EventShape | undefined;
}

const TYPES = ['number', 'text', 'flag', 'list'] as const;

/** Of another type, gone, or new: the first that applies; null where nothing changed. */
function fieldChange(
  field: string,
  { recent, past, n, m }: Sides,
  count: (from: readonly EventShape[], field: string, kind: ShapeKind) => number,
): Change | null {
  const before = TYPES.map((kind) => ({ kind, messages: count(past, field, kind) }));
  const usual = before.reduce((best, one) => (one.messages > best.messages ? one : best));
  const first = (kind: ShapeKind) => recent.find((one) => one.field === field && one.kind === kind);
  const differs = (now: number, then: number) =>
    now / n - then / m >= LEAST_CHANGE && sharesDiffer(now, n, then, m) <= MOST_P;
  if (usual.messages === 0) {
    const kinds = TYPES.map((kind) => ({ kind, messages: count(recent, field, kind) }));
    const came = kinds.reduce((best, one) => (one.messages > best.messages ? one : best));
    return differs(came.messages, 0)
      ? { what: `is new, a ${came.kind}`, messages: came.messages, severity: 'info', first: first(came.kind) }
      : null;
  }
  for (const { kind, messages } of before) {
    const now = count(recent, field, kind);
    if (kind !== usual.kind && differs(now, messages))
      return {
        what: `is a ${kind} in ${percent(now / n)} of the messages; it was a ${usual.kind}`,
        ...{ messages: now, severity: 'critical', first: first(kind) },
      };
  }
  const [absent, absentBefore] = [count(recent, field, 'absent'), count(past, field, 'absent')];
  return differs(absent, absentBefore)
    ? {
        what: `is gone from ${percent(absent / n)} of the messages; ${percent(absentBefore / m)} lacked it before`,
        ...{ messages: absent, severity: 'critical', first: first('absent') },
      }
    : null;
}

function changeSignal(used: UsedEvent, field: string, change: Change, n: number): Signal {
  const feature = used.features.find(({ fields }) => fields.has(field))?.name ?? null;
  const { first, what, messages } = change;
  const producer: Producer | undefined = first && {
    ...{ topic: first.topic, field, partition: first.firstPartition, firstOffset: first.firstOffset },
    firstAt: first.firstAt,
  };
  const where =
    first?.firstOffset == null
      ? ''
      : `, from offset ${first.firstOffset} of partition ${first.firstPartition} of topic ${first.topic} on`;
  // What no feature reads is told, but nobody is woken for it.
  const severity = feature === null ? 'info' : change.severity;
  return signalOf('schema', used, feature, messages, n, severity, {
    message: `the field ${field} of ${used.label} ${what}${where}`,
    ...(producer ? { producer } : {}),
  });
}

function signalOf(
  kind: SignalKind,
  used: UsedEvent,
  feature: string | null,
  messages: number,
  n: number,
  severity: Severity,
  rest: Pick<Signal, 'message' | 'producer'>,
): Signal {
  const { low, high } = wilsonInterval(messages, n);
  return {
    ...{ kind, feature, source: used.source, effect: messages / n, low, high, unit: 'share of messages' },
    ...{ threshold: LEAST_CHANGE, p: null, n, severity },
    ...rest,
  };
}

/** Reference tables that were not uploaded when they usually are, or are older than a feature allows. Pure. */
export function judgeTables(used: readonly UsedTable[], ages: readonly TableAge[], now: number): Signal[] {
  return used.flatMap(({ table, source, feature, maxAgeMs }) => {
    const age = ages.find((one) => one.table === table);
    if (!age) return [];
    const usualMs = age.previousAt === null ? null : age.uploadedAt - age.previousAt;
    const limitMs = maxAgeMs ?? (usualMs === null ? null : STALE_TIMES * Math.max(HOUR_MS, usualMs));
    const ageMs = now - age.uploadedAt;
    if (limitMs === null || ageMs <= limitMs) return [];
    const hours = (ms: number) => `${(ms / HOUR_MS).toFixed(1)} h`;
    const why =
      maxAgeMs === null
        ? `the upload before came ${hours(usualMs ?? 0)} earlier`
        : `${feature} allows ${hours(maxAgeMs)}`;
    return [
      {
        ...{ kind: 'stale' as const, feature: null, source, unit: 'hours', threshold: limitMs / HOUR_MS },
        ...{ effect: ageMs / HOUR_MS, low: ageMs / HOUR_MS, high: ageMs / HOUR_MS, p: null, n: 1 },
        ...{ severity: 'warning' as const },
        message: `the table ${table} was uploaded ${hours(ageMs)} ago; ${why}`,
      },
    ];
  });
}
