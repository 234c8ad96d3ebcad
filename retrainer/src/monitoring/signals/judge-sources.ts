import type { SignalKind } from '@hotloop/model/manifest/monitor-schema.ts';
import { wilsonInterval } from '@hotloop/model/statistics/distributions.ts';
import type { EventShape } from '@hotloop/platform/postgres/event-shape-store.ts';
import type { TableAge } from '@hotloop/platform/postgres/table-ages.ts';
import { HOUR_MS } from '@hotloop/proto/time-units.ts';
import { percent } from './judge-features.ts';
import { SeenShapes, type Sides, TYPES } from './seen-shapes.ts';
import type { Producer, Severity, Signal } from './signal.ts';
import type { UsedEvent, UsedTable } from './used-sources.ts';

/** A smaller change of a share of messages is not a schema change. */
const LEAST_CHANGE = 0.1;
const LATE_CHANGE = 0.1;
/** A power of ten with fewer numbers than this share is unusual. If it is this many powers away, the unit has changed. */
const RARE_SIZE = 0.01;
const LEAST_POWERS = 1.5;
/** A table is stale when its age is this many times the time between its last two uploads. */
const STALE_TIMES = 3;

/** Finds changes of a producer's messages, and late messages. Pure. */
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
  const seen = new SeenShapes(shapes, now);
  const signals: Signal[] = [];
  const late = seen.sides('', ['late']);
  if (late.isJudged && late.share - late.before >= LATE_CHANGE && late.differs)
    signals.push(
      signalOf('late_events', used, null, late, 'warning', {
        message: `${percent(late.share)} of the events ${used.event} come more than ten minutes late; ${percent(late.before)} before`,
      }),
    );
  const fields = new Set(shapes.map((one) => one.field).filter((field) => field !== ''));
  const changes = [...fields].flatMap((field) => fieldChange(field, seen) ?? []);
  for (const change of changes) signals.push(changeSignal(used, change, renamedTo(change, changes)));
  return signals;
}

interface Change {
  readonly field: string;
  readonly of: 'type' | 'gone' | 'new' | 'size';
  readonly what: string;
  readonly severity: Severity;
  readonly sides: Sides;
}

/** The first change that applies: another type, gone, another size, or new; null if nothing changed. */
function fieldChange(field: string, seen: SeenShapes): Change | null {
  const types = TYPES.map((kind) => ({ kind, ...seen.sides(field, [kind]) }));
  const change = (of: Change['of'], what: string, sides: Sides): Change | null =>
    sides.isJudged && sides.share - sides.before >= LEAST_CHANGE && sides.differs
      ? { field, of, what, sides, severity: of === 'new' ? 'info' : 'critical' }
      : null;
  const usual = seen.usualType(field);
  if (usual === null) {
    const came = types.reduce((best, one) => (one.now > best.now ? one : best));
    return change('new', `is new, a ${came.kind}`, came);
  }
  for (const sides of types)
    if (sides.kind !== usual) {
      const what = `is a ${sides.kind} in ${percent(sides.share)} of the messages; it was a ${usual}`;
      const found = change('type', what, sides);
      if (found) return found;
    }
  const absent = seen.sides(field, ['absent']);
  const gone = `is gone from ${percent(absent.share)} of the messages; ${percent(absent.before)} lacked it before`;
  return change('gone', gone, absent) ?? sizeChange(field, seen, change);
}

/** Numbers of a magnitude that did not occur before and is far from earlier ones: the unit changed. */
function sizeChange(
  field: string,
  seen: SeenShapes,
  change: (of: 'size', what: string, sides: Sides) => Change | null,
): Change | null {
  const sizes = seen
    .kindsOf(field)
    .filter((kind) => kind.startsWith('1e'))
    .map((kind) => ({ kind, power: Number(kind.slice(2)), ...seen.sides(field, [kind]) }));
  const isUnusual = ({ before }: Sides) => before < RARE_SIZE;
  const unusual = sizes.filter((one) => isUnusual(one) && one.now > 0);
  const usual = sizes.filter((one) => !isUnusual(one));
  if (unusual.length === 0 || usual.length === 0) return null;
  const meanPower = (of: typeof sizes, weight: (one: Sides) => number) =>
    of.reduce((sum, one) => sum + one.power * weight(one), 0) / of.reduce((sum, one) => sum + weight(one), 0);
  const powers = meanPower(unusual, ({ now }) => now) - meanPower(usual, ({ before }) => before);
  if (Math.abs(powers) < LEAST_POWERS) return null;
  const sides = seen.sides(
    field,
    unusual.map(({ kind }) => kind),
  );
  const times = (10 ** Math.round(Math.abs(powers))).toLocaleString('en');
  const what = `is about ${times} times ${powers > 0 ? 'larger' : 'smaller'} in ${percent(sides.share)} of the messages`;
  return change('size', what, sides);
}

/** A new field that replaced the one that disappeared, in the same share of messages; undefined if there is none. */
function renamedTo(change: Change, changes: readonly Change[]): string | undefined {
  if (change.of !== 'gone') return undefined;
  const { sides } = change;
  return changes.find(
    (one) =>
      one.of === 'new' &&
      one.sides.first?.at === sides.first?.at &&
      Math.abs(one.sides.now - sides.now) <= 0.1 * sides.now,
  )?.field;
}

function changeSignal(used: UsedEvent, { field, what, severity, sides }: Change, renamed?: string): Signal {
  const feature = used.features.find(({ fields }) => fields.has(field))?.name ?? null;
  const { first } = sides;
  const producer: Producer | undefined = first && {
    ...{ topic: first.topic, field, partition: first.firstPartition, firstOffset: first.firstOffset },
    firstAt: first.firstAt,
  };
  const isCaller = first?.topic.startsWith('caller ') === true;
  const where =
    first?.firstOffset == null
      ? ''
      : `, from offset ${first.firstOffset} of partition ${first.firstPartition} of topic ${first.topic} on`;
  const hint = renamed === undefined ? '' : `; ${renamed} came in its place: it may have been renamed`;
  return signalOf(
    'schema',
    used,
    feature,
    sides,
    // A field that no feature reads is reported with low severity.
    feature === null ? 'info' : severity,
    {
      message: `the field ${field} of ${used.label}${isCaller ? ` of ${first.topic}` : ''} ${what}${hint}${where}`,
      ...(producer ? { producer } : {}),
    },
  );
}

function signalOf(
  kind: SignalKind,
  used: UsedEvent,
  feature: string | null,
  { now, n, share }: Sides,
  severity: Severity,
  rest: Pick<Signal, 'message' | 'producer'>,
): Signal {
  const { low, high } = wilsonInterval(now, n);
  return {
    ...{ kind, feature, source: used.source, effect: share, low, high, unit: 'share of messages' },
    ...{ threshold: LEAST_CHANGE, p: null, n, severity },
    ...rest,
  };
}

/** Reference tables whose usual upload is overdue, or that are older than a feature allows. Pure. */
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
