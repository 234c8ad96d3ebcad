import { sharesDiffer } from '@hotloop/model/statistics/distributions.ts';
import type { EventShape, ShapeKind } from '@hotloop/platform/postgres/event-shape-store.ts';

export const TYPES = ['number', 'text', 'flag', 'list'] as const;
export type FieldType = (typeof TYPES)[number];

/** "Now" is the last half hour, in spans of ten minutes; "before" is the rest of the stored week. */
const NOW_MS = 30 * 60_000;
const LEAST_NOW = 20;
const LEAST_BEFORE = 100;
/** Strict, because every field is judged every minute. */
const MOST_P = 1e-9;

/** Number of messages with a property, and of all messages, now and before. */
export interface Sides {
  readonly now: number;
  readonly n: number;
  readonly share: number;
  /** The earlier share. */
  readonly before: number;
  /** Whether there are enough messages on both sides. */
  readonly isJudged: boolean;
  /** Whether the share grew more than chance explains. */
  readonly differs: boolean;
  /** Where it began; undefined if it does not occur now. */
  readonly first: EventShape | undefined;
}

/**
 * The shapes of one event type of one topic, now and before. If the past is shorter than half an hour, each kind is divided at its
 * own first message: messages until then count as before. Pure.
 */
export class SeenShapes {
  readonly #shapes: readonly EventShape[];
  readonly #recent: readonly EventShape[];
  readonly #past: readonly EventShape[];
  readonly #n: number;
  readonly #m: number;

  /** @param shapes in chronological order. */
  constructor(shapes: readonly EventShape[], now: number) {
    this.#shapes = shapes;
    this.#recent = shapes.filter(({ at }) => at > now - NOW_MS);
    this.#past = shapes.filter(({ at }) => at <= now - NOW_MS);
    this.#n = count(this.#recent, '', ['message']);
    this.#m = count(this.#past, '', ['message']);
  }

  kindsOf(field: string): ShapeKind[] {
    return [...new Set(this.#shapes.flatMap((one) => (one.field === field ? one.kind : [])))];
  }

  /** The earlier type of a field; null for a new field. */
  usualType(field: string): FieldType | null {
    const known = TYPES.map((kind) => ({
      kind,
      messages: this.#isYoung
        ? this.#earlier(field, [kind]) < LEAST_BEFORE
          ? count(this.#shapes, field, [kind])
          : 0
        : count(this.#past, field, [kind]),
    }));
    const most = known.reduce((best, one) => (one.messages > best.messages ? one : best));
    return most.messages === 0 ? null : most.kind;
  }

  /** Counts messages whose field has one of these kinds. */
  sides(field: string, kinds: readonly ShapeKind[]): Sides {
    if (!this.#isYoung) {
      const now = count(this.#recent, field, kinds);
      return sidesOf(now, this.#n, count(this.#past, field, kinds), this.#m, this.#beginning(field, kinds));
    }
    const earlier = this.#earlier(field, kinds);
    const all = this.#n + this.#m;
    const now = count(this.#shapes, field, kinds);
    // The first message and later ones do not count as before.
    if (earlier < LEAST_BEFORE) return sidesOf(now, all, now, all, undefined);
    return sidesOf(now, all - earlier, 0, earlier, first(this.#shapes, field, kinds));
  }

  get #isYoung(): boolean {
    return this.#m < LEAST_BEFORE;
  }

  /** Number of messages before the first one with any of these kinds. */
  #earlier(field: string, kinds: readonly ShapeKind[]): number {
    return first(this.#shapes, field, kinds)?.earlier ?? 0;
  }

  /** The first span from which on, up to the newest, it is as frequent as now. */
  #beginning(field: string, kinds: readonly ShapeKind[]): EventShape | undefined {
    const share = count(this.#recent, field, kinds) / Math.max(1, this.#n);
    const spans = [...Map.groupBy(this.#shapes, ({ at }) => at).values()];
    let from = spans.length;
    const shareOf = (span: readonly EventShape[]) =>
      count(span, field, kinds) / Math.max(1, count(span, '', ['message']));
    while (from > 0 && shareOf(spans[from - 1]!) >= share / 2) from--;
    // It may have begun late in a span and be rare in it.
    const before = spans[from - 1];
    if (before && shareOf(before) > 0 && (from === 1 || shareOf(spans[from - 2]!) === 0)) from--;
    return first(spans.slice(from).flat(), field, kinds) ?? first(this.#recent, field, kinds);
  }
}

function sidesOf(now: number, n: number, then: number, m: number, begun: EventShape | undefined): Sides {
  return {
    ...{ now, n, share: now / Math.max(1, n), before: then / Math.max(1, m), first: begun },
    isJudged: n >= LEAST_NOW && m >= LEAST_BEFORE,
    differs: n > 0 && m > 0 && sharesDiffer(now, n, then, m) <= MOST_P,
  };
}

const isOf = (one: EventShape, field: string, kinds: readonly ShapeKind[]) =>
  one.field === field && kinds.includes(one.kind);

const count = (from: readonly EventShape[], field: string, kinds: readonly ShapeKind[]): number =>
  from.reduce((sum, one) => sum + (isOf(one, field, kinds) ? one.messages : 0), 0);

/** The earliest, by time and then by the number of earlier messages. */
function first(
  from: readonly EventShape[],
  field: string,
  kinds: readonly ShapeKind[],
): EventShape | undefined {
  return from
    .filter((one) => isOf(one, field, kinds))
    .reduce<EventShape | undefined>(
      (best, one) =>
        best === undefined || (one.firstAt - best.firstAt || one.earlier - best.earlier) < 0 ? one : best,
      undefined,
    );
}
