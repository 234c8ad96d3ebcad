import { createHash } from 'node:crypto';
import type { EventSummary } from '@hotloop/model/features/history.ts';
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

interface Script {
  readonly script: string;
  readonly keys: readonly string[];
  readonly values: readonly (string | number)[];
}

const DIGESTS: ReadonlyMap<string, string> = new Map(
  [APPEND_SCRIPT, READ_SCRIPT].map((script) => [script, createHash('sha1').update(script).digest('hex')]),
);

type PipelineResults = readonly (readonly [Error | null, unknown])[] | null;

/** History on Redis: events and summaries of each (entity, id, event type), read and written by scripts. The client stays the caller's. */
export class RedisHistory implements FillableHistory {
  readonly #redis: RedisClient;

  constructor(redis: RedisClient) {
    this.#redis = redis;
  }

  async append(entries: readonly HistoryEntry[], nowMs: number, signal?: AbortSignal): Promise<void> {
    for (let from = 0; from < entries.length; from += APPEND_CHUNK) {
      signal?.throwIfAborted();
      const groups = [...groupByKey(entries.slice(from, from + APPEND_CHUNK))];
      await this.#evaluate(
        groups.map(([key, group]) => ({
          script: APPEND_SCRIPT,
          keys: [key, `${key}:ids`, `${key}:sums`],
          values: [
            ...[HISTORY_LENGTH, nowMs - HISTORY_AGE_MS, HISTORY_AGE_MS],
            ...group.flatMap(({ id, atMs, arrivalUs, fields }) => [
              ...[id, atMs, arrivalText(arrivalUs), JSON.stringify(fields)],
            ]),
          ],
        })),
      );
    }
  }

  async read(reads: readonly HistoryRead[]): Promise<HistoryEvent[][]> {
    if (reads.length === 0) return [];
    // One script reads lists of one node alone, and of an entity all are on one node.
    const groups = this.#redis.isCluster
      ? [...Map.groupBy(reads.keys(), (index) => tagOf(reads[index]!)).values()]
      : [[...reads.keys()]];
    const chunks = groups.flatMap((group) => chunksOf(group, READ_CHUNK));
    const found = await this.#evaluate(
      chunks.map((chunk) => {
        const own = chunk.map((index) => reads[index]!);
        return {
          script: READ_SCRIPT,
          keys: own.flatMap((read) => [keyOf(read), `${keyOf(read)}:sums`]),
          values: own.flatMap(argumentsOf),
        };
      }),
    );
    const texts = new Map<number, unknown>();
    for (const [at, chunk] of chunks.entries())
      for (const [place, index] of chunk.entries()) texts.set(index, (found[at] as unknown[])[place]);
    return reads.map((read, index) => eventsOf(String(texts.get(index) ?? ''), read.fields));
  }

  /** In one round trip. On a cluster, scripts of one turn travel together to each node. */
  async #evaluate(scripts: readonly Script[]): Promise<unknown[]> {
    if (this.#redis.isCluster)
      return Promise.all(
        scripts.map(({ script, keys, values }) => this.#redis.eval(script, keys.length, ...keys, ...values)),
      ).catch(away);
    // An explicit pipeline leaves as one write whatever the client's own settings are. Only the scripts' digests travel.
    const once = () => {
      const pipeline = this.#redis.pipeline();
      for (const { script, keys, values } of scripts)
        pipeline.evalsha(DIGESTS.get(script) ?? '', keys.length, ...keys, ...values);
      return pipeline.exec().catch(away);
    };
    const results = await once();
    if (results?.some(([error]) => error?.message.startsWith('NOSCRIPT')) !== true) return valuesOf(results);
    // A restarted Redis does not know them yet. Both may run twice: neither changes what is there already.
    for (const script of DIGESTS.keys()) await this.#redis.script('LOAD', script).catch(away);
    return valuesOf(await once());
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

/** The braces keep all keys of an entity on one node of a cluster. */
function tagOf(list: { entity: string; entityId: string }): string {
  return `history:{${list.entity}:${list.entityId}}`;
}

function keyOf(list: { entity: string; entityId: string; event: string }): string {
  return `${tagOf(list)}:${list.event}`;
}

function chunksOf(indexes: readonly number[], size: number): number[][] {
  return Array.from({ length: Math.ceil(indexes.length / size) }, (_, at) =>
    indexes.slice(at * size, (at + 1) * size),
  );
}

function groupByKey(entries: readonly HistoryEntry[]): Map<string, HistoryEntry[]> {
  return Map.groupBy(entries, keyOf);
}

/** What the script wants to know of a read. A window begins at a whole millisecond, as events happen at one. */
function argumentsOf({ sinceMs, limit, fields, summarize }: HistoryRead): number[] {
  const edges = summarize?.edgesMs ?? [];
  return [
    ...[Math.max(0, Math.floor(sinceMs)), limit, fields ? 1 : 0, summarize?.events ?? -1],
    ...[edges.length, ...edges.map((edge) => Math.max(0, Math.ceil(edge)))],
  ];
}

/** Lines of two or three to an event: time, id, fields. Those of a summary begin with S. */
function eventsOf(text: string, withFields: boolean): HistoryEvent[] {
  if (text === '') return [];
  const lines = text.split('\n');
  const events: HistoryEvent[] = [];
  for (let at = 0; at + 1 < lines.length; at += withFields ? 3 : 2) {
    const time = lines[at] ?? '';
    const second = lines[at + 1] ?? '';
    events.push(
      time.startsWith('S')
        ? { id: time, atMs: Number(time.slice(1)), fields: NO_FIELDS, summary: summaryOf(second) }
        : {
            id: second,
            atMs: Number(time),
            fields: withFields ? parseFields(lines[at + 2] ?? '') : NO_FIELDS,
          },
    );
  }
  return events;
}

/** "count newest" and, for each field, "name count sum min max". */
function summaryOf(text: string): EventSummary {
  const words = text.split(' ');
  const fields = Object.create(null) as Record<string, EventSummary['fields'][string]>;
  for (let at = 2; at + 4 < words.length; at += 5)
    fields[words[at] ?? ''] = {
      count: Number(words[at + 1]),
      sum: Number(words[at + 2]),
      min: Number(words[at + 3]),
      max: Number(words[at + 4]),
    };
  return { count: Number(words[0]), fields };
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
