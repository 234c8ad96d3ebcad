import type { AttributeValue } from '@hotloop/model/value.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Log } from '@hotloop/platform/log.ts';
import {
  addEventShapes,
  type EventShape,
  knownFields,
  SHAPE_SPAN_MS,
  type ShapeKind,
  type SizeKind,
} from '@hotloop/platform/postgres/event-shape-store.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { addRefusedCalls, type RefusedCalls } from '@hotloop/platform/postgres/refused-call-store.ts';

/** One accepted message. */
export interface SeenMessage {
  /** As in an `EventShape`. */
  readonly topic: string;
  readonly partition: number | null;
  readonly offset: bigint | null;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
  /** When it happened, milliseconds since 1970. */
  readonly atMs: number;
}

/** Called for accepted messages; never fails, never waits. */
export type CountShapes = (messages: readonly SeenMessage[]) => void;

/** Called for calls that are in no log; never fails, never waits. */
export type CountRefused = (refused: Omit<RefusedCalls, 'calls'>) => void;

const FLUSH_MS = 5_000;
const KNOWN_MS = 7 * 86_400_000;
/** An event that arrives later than this counts as late: windows of minutes are closed by then. */
const LATE_MS = 10 * 60_000;
const MOST_WAITING = 20_000;
const MAX_EVENTS = 200;
const MAX_FIELDS = 100;
const MAX_NAME = 128;

export interface FollowedShapes extends AsyncDisposable {
  readonly count: CountShapes;
  readonly countRefused: CountRefused;
  /** Writes the counts; rejects like Postgres. */
  flush(): Promise<void>;
}

/**
 * Counts the fields of messages and the rejected calls, and writes both every few seconds. While Postgres cannot be
 * reached, the counts wait in memory.
 */
export async function followShapes(pool: Pool, clock: Clock, log: Log): Promise<FollowedShapes> {
  const known = await knownFields(pool, clock.now() - KNOWN_MS).catch(() => []);
  const tally = new ShapeTally(known);
  let refused = new Map<string, RefusedCalls>();
  const flushShapes = waitingWrites(
    () => tally.take(),
    (shapes: readonly EventShape[]) => addEventShapes(pool, shapes),
  );
  const flushRefused = waitingWrites(
    () => {
      const taken = [...refused.values()];
      refused = new Map();
      return taken;
    },
    (counts: readonly RefusedCalls[]) => addRefusedCalls(pool, counts),
  );
  const flush = async () => {
    await flushShapes();
    await flushRefused();
  };
  const timer = setInterval(() => {
    flush().catch((error: unknown) => log.debug({ error }, 'counts of events wait for Postgres'));
  }, FLUSH_MS);
  timer.unref();
  return {
    count: (messages) => tally.add(messages, clock.now()),
    countRefused(one) {
      const key = `${one.model}\n${one.minute}\n${one.caller}\n${one.code}`;
      const count = refused.get(key);
      if (count) count.calls++;
      else refused.set(key, { ...one, calls: 1 });
    },
    flush,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await flush().catch(() => undefined);
    },
  };
}

/** Writes new counts together with those that could not be written before. */
function waitingWrites<T>(take: () => readonly T[], write: (counts: readonly T[]) => Promise<void>) {
  let waiting: readonly T[] = [];
  return async (): Promise<void> => {
    const sent = [...waiting, ...take()];
    waiting = [];
    if (sent.length === 0) return;
    try {
      await write(sent);
    } catch (error) {
      // Bounded: after a long outage the oldest counts are dropped.
      waiting = [...sent, ...waiting].slice(-MOST_WAITING);
      throw error;
    }
  };
}

/**
 * The counts of one process since they were last taken. Limited in events and fields; beyond the limits nothing is
 * counted.
 */
export class ShapeTally {
  readonly #events = new Map<string, KnownEvent>();
  #counts = new Map<string, EventShape>();

  constructor(known: readonly { readonly topic: string; readonly event: string; readonly field: string }[]) {
    for (const { topic, event, field } of known) this.#eventOf(topic, event)?.fields.add(field);
  }

  add(messages: readonly SeenMessage[], nowMs: number): void {
    for (const message of messages) {
      const known = this.#eventOf(message.topic, message.event);
      if (!known) continue;
      const { fields } = known;
      const count = (field: string, kind: ShapeKind) =>
        this.#count(message, field, kind, nowMs, known.messages);
      count('', 'message');
      if (nowMs - message.atMs > LATE_MS) count('', 'late');
      for (const [name, value] of Object.entries(message.fields)) {
        const kind = kindOf(value as AttributeValue);
        if (kind === null || (!fields.has(name) && !canBeKept(name, fields))) continue;
        fields.add(name);
        count(name, kind);
        const size = kind === 'number' ? sizeOf(value as number) : null;
        if (size !== null) count(name, size);
      }
      for (const name of fields)
        if (kindOf(message.fields[name] as AttributeValue) === null) count(name, 'absent');
      known.messages++;
    }
  }

  /** Returns the counts since the last call. */
  take(): EventShape[] {
    const taken = [...this.#counts.values()];
    this.#counts = new Map();
    return taken;
  }

  #eventOf(topic: string, event: string): KnownEvent | undefined {
    const key = `${topic}\n${event}`;
    const known = this.#events.get(key);
    if (known || this.#events.size >= MAX_EVENTS) return known;
    const added = { fields: new Set<string>(), messages: 0 };
    this.#events.set(key, added);
    return added;
  }

  #count(
    { topic, partition, offset, event }: SeenMessage,
    field: string,
    kind: ShapeKind,
    now: number,
    earlier: number,
  ): void {
    const at = Math.floor(now / SHAPE_SPAN_MS) * SHAPE_SPAN_MS;
    const key = `${topic}\n${event}\n${field}\n${kind}\n${at}`;
    const count = this.#counts.get(key);
    if (count) {
      count.messages++;
      count.lastAt = now;
      return;
    }
    this.#counts.set(key, {
      ...{ topic, event, field, kind, at, messages: 1, firstPartition: partition, earlier },
      ...{ firstOffset: offset === null ? null : offset.toString(), firstAt: now, lastAt: now },
    });
  }
}

interface KnownEvent {
  readonly fields: Set<string>;
  /** Counted since this process started. */
  messages: number;
}

/** Numbers beyond these powers of ten count as one magnitude. */
const MOST_SIZE = 15;

/** Null for 0, which has no magnitude, and for values that are not numbers. */
function sizeOf(value: number): SizeKind | null {
  if (value === 0 || !Number.isFinite(value)) return null;
  const power = Math.floor(Math.log10(Math.abs(value)));
  return `1e${Math.max(-MOST_SIZE, Math.min(MOST_SIZE, power))}`;
}

/** False for names with NUL, which Postgres cannot store, and beyond the limit of fields. */
const canBeKept = (name: string, fields: ReadonlySet<string>): boolean =>
  fields.size < MAX_FIELDS &&
  name.length <= MAX_NAME &&
  name !== '' &&
  !name.includes('\0') &&
  name.isWellFormed();

/** Null for absent values, and for values that no feature can use. */
function kindOf(value: AttributeValue | null | undefined): ShapeKind | null {
  if (typeof value === 'number') return 'number';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'boolean') return 'flag';
  return Array.isArray(value) ? 'list' : null;
}
