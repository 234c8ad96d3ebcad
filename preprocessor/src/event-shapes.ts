import type { AttributeValue } from '@hotloop/model/value.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Log } from '@hotloop/platform/log.ts';
import {
  addEventShapes,
  type EventShape,
  knownFields,
  SHAPE_SPAN_MS,
  type ShapeKind,
} from '@hotloop/platform/postgres/event-shape-store.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';

/** One message that was taken in. */
export interface SeenMessage {
  /** `http` for what came over HTTP. */
  readonly topic: string;
  readonly partition: number | null;
  readonly offset: bigint | null;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
  /** When it happened, milliseconds since 1970. */
  readonly atMs: number;
}

/** Told of messages that were taken in; never fails, never waits. */
export type CountShapes = (messages: readonly SeenMessage[]) => void;

const FLUSH_MS = 5_000;
const KNOWN_MS = 7 * 86_400_000;
/** Later than this is late: windows of minutes have closed by then. */
const LATE_MS = 10 * 60_000;
const MAX_EVENTS = 200;
const MAX_FIELDS = 100;
const MAX_NAME = 128;

export interface FollowedShapes extends AsyncDisposable {
  readonly count: CountShapes;
  /** Writes what was counted; rejects as Postgres does. */
  flush(): Promise<void>;
}

/** Counts what messages look like, and writes it every few seconds. While Postgres is away the counts wait in memory. */
export async function followShapes(pool: Pool, clock: Clock, log: Log): Promise<FollowedShapes> {
  const known = await knownFields(pool, clock.now() - KNOWN_MS).catch(() => []);
  const tally = new ShapeTally(known);
  let waiting: EventShape[] = [];
  const flush = async () => {
    waiting.push(...tally.take());
    const sent = waiting;
    if (sent.length === 0) return;
    waiting = [];
    try {
      await addEventShapes(pool, sent);
    } catch (error) {
      // Bounded: after a long outage the oldest counts go.
      waiting = [...sent, ...waiting].slice(-20_000);
      throw error;
    }
  };
  const timer = setInterval(() => {
    flush().catch((error: unknown) => log.debug({ error }, 'counts of events wait for Postgres'));
  }, FLUSH_MS);
  timer.unref();
  return {
    count: (messages) => tally.add(messages, clock.now()),
    flush,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await flush().catch(() => undefined);
    },
  };
}

/** The counts of one process since they were last taken. Bounded in events and fields; what is beyond is not counted. */
export class ShapeTally {
  readonly #events = new Map<string, Set<string>>();
  #counts = new Map<string, EventShape>();

  constructor(known: readonly { readonly topic: string; readonly event: string; readonly field: string }[]) {
    for (const { topic, event, field } of known) this.#fieldsOf(topic, event)?.add(field);
  }

  add(messages: readonly SeenMessage[], nowMs: number): void {
    for (const message of messages) {
      const fields = this.#fieldsOf(message.topic, message.event);
      if (!fields) continue;
      this.#count(message, '', 'message', nowMs);
      if (nowMs - message.atMs > LATE_MS) this.#count(message, '', 'late', nowMs);
      for (const [name, value] of Object.entries(message.fields)) {
        const kind = kindOf(value as AttributeValue);
        if (kind === null || (!fields.has(name) && !canBeKept(name, fields))) continue;
        fields.add(name);
        this.#count(message, name, kind, nowMs);
      }
      for (const name of fields)
        if (kindOf(message.fields[name] as AttributeValue) === null)
          this.#count(message, name, 'absent', nowMs);
    }
  }

  /** What was counted since the last time. */
  take(): EventShape[] {
    const taken = [...this.#counts.values()];
    this.#counts = new Map();
    return taken;
  }

  #fieldsOf(topic: string, event: string): Set<string> | undefined {
    const key = `${topic}\n${event}`;
    const known = this.#events.get(key);
    if (known || this.#events.size >= MAX_EVENTS) return known;
    const fields = new Set<string>();
    this.#events.set(key, fields);
    return fields;
  }

  #count(
    { topic, partition, offset, event }: SeenMessage,
    field: string,
    kind: ShapeKind,
    now: number,
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
      ...{ topic, event, field, kind, at, messages: 1, firstPartition: partition },
      ...{ firstOffset: offset === null ? null : offset.toString(), firstAt: now, lastAt: now },
    });
  }
}

/** NUL cannot be kept by Postgres. */
const canBeKept = (name: string, fields: ReadonlySet<string>): boolean =>
  fields.size < MAX_FIELDS &&
  name.length <= MAX_NAME &&
  name !== '' &&
  !name.includes('\0') &&
  name.isWellFormed();

/** Null for what is not there, and for what no feature can name. */
function kindOf(value: AttributeValue | null | undefined): ShapeKind | null {
  if (typeof value === 'number') return 'number';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'boolean') return 'flag';
  return Array.isArray(value) ? 'list' : null;
}
