import type { AttributeValue } from '@hotloop/model/value.ts';
import type { RedisClient } from '@hotloop/platform/redis/redis.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import {
  type FillableHistory,
  HISTORY_AGE_MS,
  HISTORY_LENGTH,
  type HistoryEntry,
  type HistoryEvent,
  type HistoryRead,
} from '../history.ts';
import { APPEND_SCRIPT, READ_SCRIPT } from './history-scripts.ts';

/** Entries that travel to Redis in one pipeline; a larger batch takes several. */
const APPEND_CHUNK = 500;
/** Lists that one script reads; between two scripts Redis serves others. */
const READ_CHUNK = 64;
/** Present while the store holds all events: lost with them when it is emptied. */
const FILLED_KEY = 'history:filled';
const NO_FIELDS = Object.freeze(Object.create(null) as HistoryEvent['fields']);

type PipelineResults = readonly (readonly [Error | null, unknown])[] | null;

/** History on Redis: one sorted set for each (entity, id, event type). The client stays the caller's. */
export class RedisHistory implements FillableHistory {
  readonly #redis: RedisClient;

  constructor(redis: RedisClient) {
    this.#redis = redis;
  }

  async append(entries: readonly HistoryEntry[], nowMs: number, signal?: AbortSignal): Promise<void> {
    for (let from = 0; from < entries.length; from += APPEND_CHUNK) {
      signal?.throwIfAborted();
      const pipeline = this.#redis.pipeline();
      for (const [key, group] of groupByKey(entries.slice(from, from + APPEND_CHUNK)))
        pipeline.eval(
          APPEND_SCRIPT,
          2,
          key,
          `${key}:ids`,
          HISTORY_LENGTH,
          nowMs - HISTORY_AGE_MS,
          HISTORY_AGE_MS,
          ...group.flatMap(({ id, atMs, arrivalUs, fields }) => [
            ...[id, atMs, arrivalText(arrivalUs), JSON.stringify(fields)],
          ]),
        );
      valuesOf(await pipeline.exec().catch(away));
    }
  }

  async read(reads: readonly HistoryRead[]): Promise<HistoryEvent[][]> {
    if (reads.length === 0) return [];
    // An explicit pipeline leaves as one write whatever the client's own settings are: one round trip.
    const pipeline = this.#redis.pipeline();
    for (let from = 0; from < reads.length; from += READ_CHUNK) {
      const chunk = reads.slice(from, from + READ_CHUNK);
      pipeline.eval(
        READ_SCRIPT,
        chunk.length,
        ...chunk.map(keyOf),
        ...chunk.flatMap((read) => [Math.max(0, Math.floor(read.sinceMs)), read.limit, read.fields ? 1 : 0]),
      );
    }
    const texts = valuesOf(await pipeline.exec().catch(away)).flat();
    return reads.map((read, index) => eventsOf(String(texts[index] ?? ''), read.fields));
  }

  async isFilled(): Promise<boolean> {
    return (await this.#redis.get(FILLED_KEY).catch(away)) !== null;
  }

  async markFilled(): Promise<void> {
    await this.#redis.set(FILLED_KEY, '1').catch(away);
  }
}

/** Eleven characters, which sort as the numbers do: microseconds until the year 6000. */
function arrivalText(arrivalUs: number): string {
  return Math.max(0, Math.trunc(arrivalUs)).toString(36).padStart(11, '0').slice(-11);
}

/** The braces keep the two keys of a list on one node of a cluster. */
function keyOf(list: { entity: string; entityId: string; event: string }): string {
  return `history:{${list.entity}:${list.entityId}}:${list.event}`;
}

function groupByKey(entries: readonly HistoryEntry[]): Map<string, HistoryEntry[]> {
  return Map.groupBy(entries, keyOf);
}

/** Lines of two or three to an event: time, id, fields. */
function eventsOf(text: string, withFields: boolean): HistoryEvent[] {
  if (text === '') return [];
  const lines = text.split('\n');
  const events: HistoryEvent[] = [];
  for (let at = 0; at + 1 < lines.length; at += withFields ? 3 : 2)
    events.push({
      id: lines[at + 1] ?? '',
      atMs: Number(lines[at]),
      fields: withFields ? parseFields(lines[at + 2] ?? '') : NO_FIELDS,
    });
  return events;
}

/** What stands in the store was written by `append`; anything else there is as good as no fields. */
function parseFields(json: string): HistoryEvent['fields'] {
  try {
    const fields = Object.create(null) as Record<string, AttributeValue>;
    return Object.assign(fields, JSON.parse(json));
  } catch {
    return NO_FIELDS;
  }
}

function valuesOf(results: PipelineResults): unknown[] {
  if (results === null) throw away(undefined);
  return results.map(([error, value]) => {
    if (error) throw away(error);
    return value;
  });
}

function away(cause: unknown): never {
  throw new HotloopError('UNAVAILABLE', 'the history cannot be reached', {
    reason: 'history_unavailable',
    cause,
  });
}
