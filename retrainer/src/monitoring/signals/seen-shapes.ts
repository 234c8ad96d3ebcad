import { sharesDiffer } from '@hotloop/model/statistics/distributions.ts';
import type { EventShape, ShapeKind } from '@hotloop/platform/postgres/event-shape-store.ts';

export const TYPES = ['number', 'text', 'flag', 'list'] as const;
export type FieldType = (typeof TYPES)[number];

/** Now: the last half hour, in spans of ten minutes. Before: all that is kept, a week. */
const NOW_MS = 30 * 60_000;
const LEAST_NOW = 20;
const LEAST_BEFORE = 100;
/** Judged every minute for every field, so chance must be left out well. */
const MOST_P = 1e-9;

/** Messages that show something now, out of how many, and before. */
export interface Sides {
  readonly now: number;
  readonly n: number;
  readonly share: number;
  /** The share before. */
  readonly before: number;
  /** Whether there are enough messages on both sides. */
  readonly isJudged: boolean;
  /** Whether the share grew by more than chance gives. */
  readonly differs: boolean;
  /** Where it began; undefined when it does not occur now. */
  readonly first: EventShape | undefined;
}

/**
 * The shapes of one event of one topic, as now and before. Where the past is shorter than half an hour, each kind is divided at its
 * own first message: what had come until then is before. Pure.
 */
export class SeenShapes {
  readonly #shapes: readonly EventShape[];
  readonly #recent: readonly EventShape[];
  readonly #past: readonly EventShape[];
  readonly #n: number;
  readonly #m: number;

  /** @param shapes in the order of time. */
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

  /** The type that a field had before; null for a field that is new. */
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

  /** Messages whose field is of one of some kinds. */
  sides(field: string, kinds: readonly ShapeKind[]): Sides {
    if (!this.#isYoung) {
      const now = count(this.#recent, field, kinds);
      return sidesOf(now, this.#n, count(this.#past, field, kinds), this.#m, this.#beginning(field, kinds));
    }
    const earlier = this.#earlier(field, kinds);
    const all = this.#n + this.#m;
    const now = count(this.#shapes, field, kinds);
    // From the first message on: it is not before.
    if (earlier < LEAST_BEFORE) return sidesOf(now, all, now, all, undefined);
    return sidesOf(now, all - earlier, 0, earlier, first(this.#shapes, field, kinds));
  }

  get #isYoung(): boolean {
    return this.#m < LEAST_BEFORE;
  }

  /** How many messages had come before the first of some kinds. */
  #earlier(field: string, kinds: readonly ShapeKind[]): number {
    return first(this.#shapes, field, kinds)?.earlier ?? 0;
  }

  /** The first of the spans, up to the newest, in which it is as frequent as now. */
  #beginning(field: string, kinds: readonly ShapeKind[]): EventShape | undefined {
    const share = count(this.#recent, field, kinds) / Math.max(1, this.#n);
    const spans = [...Map.groupBy(this.#shapes, ({ at }) => at).values()];
    let from = spans.length;
    const shareOf = (span: readonly EventShape[]) =>
      count(span, field, kinds) / Math.max(1, count(span, '', ['message']));
    while (from > 0 && shareOf(spans[from - 1]!) >= share / 2) from--;
    // It may have begun late in a span, and is rare in that one.
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

/** The earliest, by time and then by the number of messages before it. */
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
