import { createHash, randomBytes } from 'node:crypto';
import type { EventList } from '@hotloop/model/features/event-list.ts';
import { deleteKeys } from '@hotloop/platform/redis/delete-keys.ts';
import type { RedisClient } from '@hotloop/platform/redis/redis.ts';
import type { TrackedReads } from '@hotloop/platform/redis/tracked-reads.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { appendEvents, type Change, removeEvents, type Slices } from './append-events.ts';
import { type FillableHistory, HISTORY_AGE_MS, type HistoryEntry, type HistoryRead } from './history.ts';
import { APPEND_SCRIPT, WRITE_SCRIPT } from './history-script.ts';
import {
  decodeEntity,
  encodeEntity,
  MOST_TAIL_BYTES,
  MOST_TAILED,
  type PackedEntity,
  SLICE_MS,
  sliceOf,
  TOKEN_BYTES,
} from './packed-entity.ts';
import { PackedList } from './packed-list.ts';
import type { Row } from './packed-rows.ts';
import { slicesOf } from './read-events.ts';
import { type Group, tailBatch } from './tail-batch.ts';

/** Number of entities that are read, changed and written whole together. */
const CHUNK = 256;
/** Chunks that one append works on at the same time. */
const LANES = 3;
/** Number of entities per script; Redis serves other clients between two scripts. */
const WRITE_CHUNK = 64;
const APPEND_CHUNK = 128;
/** Maximum number of attempts on an entity that other processes write at the same time. */
const MOST_ATTEMPTS = 100;
/** Exists while the store contains all events; it is lost with them when the store is emptied. */
const FILLED_KEY = 'entity:filled';
/** Marker of the previous format, with lists, ids and summaries in separate keys. Nothing reads them any more. */
const EARLIER_FILLED_KEY = 'history:filled';
const EARLIER_KEYS = 'history:*';

const APPEND = scriptOf(APPEND_SCRIPT);
const WRITE = scriptOf(WRITE_SCRIPT);
const NO_SLICES: Slices = new Map();
const NO_TOKEN = Buffer.alloc(0);

type PipelineResults = readonly (readonly [Error | null, unknown])[] | null;
type Argument = string | number | Buffer;

interface Script {
  readonly text: string;
  readonly digest: string;
}

interface Call {
  readonly keys: readonly string[];
  readonly values: readonly Argument[];
}

interface Write {
  readonly key: string;
  readonly keys: readonly string[];
  readonly values: readonly Argument[];
}

/**
 * History in Redis: one key per entity with its events of all types (`packed-entity.ts`); the older events of
 * entities with many events are in a second key, by slice. New events are appended to the entity's value, which costs
 * one command and no read. When there are many of them, or one of them belongs to the older events, a writer reads the
 * entity, adds to it, and writes it whole if no other process has written it meanwhile. The caller owns the client.
 */
export class RedisHistory implements FillableHistory {
  readonly #redis: RedisClient;
  readonly #reads: TrackedReads<PackedEntity> | undefined;
  /** Distinguishes the writes of this process from those of others. */
  readonly #writer = randomBytes(4);
  #writes = 0;

  /** `reads`: another connection for reads, so that they do not wait behind writes, and its cache. */
  constructor(redis: RedisClient, reads?: TrackedReads<PackedEntity>) {
    this.#redis = redis;
    this.#reads = reads;
  }

  async append(entries: readonly HistoryEntry[], nowMs: number, signal?: AbortSignal): Promise<void> {
    const oldestMs = nowMs - HISTORY_AGE_MS;
    const cutMs = sliceOf(oldestMs) * SLICE_MS;
    const [few, many]: [Group[], Group[]] = [[], []];
    for (const group of Map.groupBy(
      entries.filter(({ atMs }) => atMs >= cutMs),
      keyOf,
    ))
      (group[1].length > MOST_TAILED ? many : few).push(group);
    signal?.throwIfAborted();
    const left = await this.#appendToTails(few, cutMs);
    await this.#writeWhole([...many, ...left], oldestMs, signal);
  }

  /** Returns the entities that must be written whole; those whose events were appended, without events. */
  async #appendToTails(groups: readonly Group[], cutMs: number): Promise<Group[]> {
    const cut = Buffer.allocUnsafe(8);
    cut.writeDoubleLE(cutMs);
    const values = [HISTORY_AGE_MS, encodeEntity(this.#token(), new Map()), cut, MOST_TAIL_BYTES];
    // Redis works on one chunk while the next is packed here.
    const left = await Promise.all(
      this.#chunks(groups, APPEND_CHUNK).map(async (chunk) => {
        const { keys, sizes, rows } = tailBatch(chunk);
        const [answers] = await this.#evaluate(APPEND, [{ keys, values: [...values, sizes, rows] }]);
        this.#reads?.drop(keys);
        return chunk.flatMap(([key, own], index): Group[] => {
          const answer = (answers as string)[index];
          if (answer === 'a') return [];
          return [[key, answer === 'm' ? [] : own]];
        });
      }),
    );
    return left.flat();
  }

  /** Adds events to entities and merges their tails. */
  async #writeWhole(
    groups: readonly Group[],
    oldestMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    let next = 0;
    // While Redis works on the entities of one lane, the next are computed here.
    const lane = async () => {
      while (next < groups.length) {
        const own = groups.slice(next, next + CHUNK);
        next += CHUNK;
        await this.#writeChunk(own, oldestMs, signal);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  }

  async #writeChunk(
    groups: readonly Group[],
    oldestMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    let left = groups;
    for (let attempt = 0; left.length > 0; attempt++) {
      signal?.throwIfAborted();
      if (attempt === MOST_ATTEMPTS) throw away('others write the same entities');
      const tried = left;
      const written = await this.#change(
        tried.map(([key]) => key),
        (entity, slices, index) =>
          appendEvents(entity, (tried[index] as Group)[1], oldestMs, slices, this.#token()),
      );
      left = tried.filter(([key]) => !written.has(key));
    }
  }

  /** Removes events from an entity; returns how many. */
  async remove(entity: EntityName, goes: (row: Row) => boolean): Promise<number> {
    const key = keyOf(entity);
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      let removed = 0;
      const written = await this.#change([key], (state, slices) => {
        if (state === undefined) return { kind: 'unchanged' };
        const { count, change } = removeEvents(state, slices, goes, this.#token());
        removed = count;
        return change;
      });
      if (written.has(key)) return removed;
    }
    return away('others write the same entity');
  }

  async read(reads: readonly HistoryRead[]): Promise<EventList[]> {
    if (reads.length === 0) return [];
    const entities = await (this.#reads
      ? this.#reads.get(reads).catch(away)
      : this.#decode(reads.map(keyOf)));
    const wanted = new Map<string, Set<string>>();
    for (let index = 0; index < reads.length; index++) {
      const entity = entities[index];
      if (entity?.hasOlder !== true) continue;
      const read = reads[index] as HistoryRead;
      const key = keyOf(read);
      const names = slicesOf(entity, read);
      if (names.length > 0) wanted.set(key, new Set([...(wanted.get(key) ?? []), ...names]));
    }
    if (wanted.size === 0)
      return reads.map((read, index) => new PackedList(entities[index], read, NO_SLICES));
    const slices = await this.#fetchSlices(wanted, this.#reads?.redis ?? this.#redis);
    return reads.map(
      (read, index) => new PackedList(entities[index], read, slices.get(keyOf(read)) ?? NO_SLICES),
    );
  }

  /**
   * Reads entities, lets each be changed, and writes those that no other process has written meanwhile. Returns the
   * keys that are done, including those of unchanged entities. `change` may be called again with the slices that it
   * needs.
   */
  async #change(
    keys: readonly string[],
    change: (entity: PackedEntity | undefined, slices: Slices, index: number) => Change,
  ): Promise<Set<string>> {
    const found = await this.#fetch(keys);
    const entities = found.map((bytes) => decoded(bytes));
    const changes: Change[] = entities.map((entity, index) => change(entity, NO_SLICES, index));
    const loaded = new Map<string, Map<string, Buffer | null>>();
    for (;;) {
      const wanted = new Map<string, Set<string>>();
      for (const [index, one] of changes.entries())
        if (one.kind === 'needs') wanted.set(keys[index] as string, new Set(one.slices));
      if (wanted.size === 0) break;
      for (const [key, slices] of await this.#fetchSlices(wanted, this.#redis))
        loaded.set(key, new Map([...(loaded.get(key) ?? []), ...slices]));
      for (const [index, one] of changes.entries())
        if (one.kind === 'needs')
          changes[index] = change(entities[index], loaded.get(keys[index] as string) ?? NO_SLICES, index);
    }
    const done = new Set<string>();
    const writes: Write[] = [];
    for (const [index, one] of changes.entries()) {
      const key = keys[index] as string;
      if (one.kind === 'changed') writes.push(writeOf(key, found[index] ?? null, one));
      else done.add(key);
    }
    for (const key of await this.#write(writes)) done.add(key);
    this.#reads?.drop(done);
    return done;
  }

  /** Returns the keys that were written. */
  async #write(writes: readonly Write[]): Promise<string[]> {
    if (writes.length === 0) return [];
    const chunks = this.#chunks(writes, WRITE_CHUNK);
    const results = await this.#evaluate(
      WRITE,
      chunks.map((chunk) => ({
        keys: chunk.flatMap(({ keys }) => keys),
        values: [HISTORY_AGE_MS, ...chunk.flatMap(({ values }) => values)],
      })),
    );
    return chunks.flatMap((chunk, at) =>
      chunk.flatMap(({ key }, index) => ((results[at] as number[])[index] === 1 ? [key] : [])),
    );
  }

  /** One script may only write keys of one node, and only the keys of one entity are surely on one node. */
  #chunks<T>(all: readonly T[], most: number): T[][] {
    const size = this.#redis.isCluster ? 1 : most;
    return Array.from({ length: Math.ceil(all.length / size) }, (_, at) =>
      all.slice(at * size, (at + 1) * size),
    );
  }

  /** In one round trip. On a cluster, scripts of one turn are sent together to each node. */
  async #evaluate({ text, digest }: Script, calls: readonly Call[]): Promise<unknown[]> {
    if (this.#redis.isCluster)
      return Promise.all(
        calls.map(({ keys, values }) => this.#redis.eval(text, keys.length, ...keys, ...values)),
      ).catch(away);
    // An explicit pipeline is one write, whatever the client's own settings. Only the script's digest is sent.
    const once = () => {
      const pipeline = this.#redis.pipeline();
      for (const { keys, values } of calls) pipeline.evalsha(digest, keys.length, ...keys, ...values);
      return pipeline.exec().catch(away);
    };
    const results = await once();
    if (results?.some(([error]) => error?.message.startsWith('NOSCRIPT')) !== true) return valuesOf(results);
    // A restarted Redis does not know the script yet. A call that succeeded anyway changes nothing the second time.
    await this.#redis.script('LOAD', text).catch(away);
    return valuesOf(await once());
  }

  async #decode(keys: readonly string[]): Promise<(PackedEntity | undefined)[]> {
    return (await this.#fetch(keys)).map((bytes) => decoded(bytes));
  }

  #fetch(keys: readonly string[]): Promise<(Buffer | null)[]> {
    return this.#redis.isCluster
      ? Promise.all(keys.map((key) => this.#redis.getBuffer(key))).catch(away)
      : this.#redis.mgetBuffer([...keys]).catch(away);
  }

  async #fetchSlices(
    wanted: ReadonlyMap<string, ReadonlySet<string>>,
    redis: RedisClient,
  ): Promise<Map<string, Map<string, Buffer | null>>> {
    const fetched = await Promise.all(
      [...wanted].map(([key, names]) => redis.hmgetBuffer(olderKey(key), ...names)),
    ).catch(away);
    return new Map(
      [...wanted].map(([key, names], at) => [
        key,
        new Map([...names].map((name, index) => [name, fetched[at]?.[index] ?? null])),
      ]),
    );
  }

  async isFilled(): Promise<boolean> {
    return (await this.#redis.get(FILLED_KEY).catch(away)) !== null;
  }

  async markFilled(): Promise<void> {
    await this.#redis.set(FILLED_KEY, '1').catch(away);
    if ((await this.#redis.exists(EARLIER_FILLED_KEY).catch(away)) === 1)
      await deleteKeys(this.#redis, EARLIER_KEYS).catch(away);
  }

  #token(): Buffer {
    const token = Buffer.allocUnsafe(TOKEN_BYTES);
    this.#writer.copy(token);
    this.#writes = (this.#writes + 1) >>> 0;
    token.writeUInt32LE(this.#writes, 4);
    return token;
  }
}

type EntityName = Pick<HistoryEntry, 'entity' | 'entityId'>;

/**
 * An entity's own key always ends with a brace. The braces (hash tag) keep both keys of an entity on one node of a
 * cluster.
 */
export function keyOf({ entity, entityId }: EntityName): string {
  return `entity:{${entity}:${entityId}}`;
}

function olderKey(key: string): string {
  return `${key}:older`;
}

function writeOf(key: string, found: Buffer | null, change: Change & { kind: 'changed' }): Write {
  const slices = [...change.slices].flatMap(([name, rows]) => [name, rows ?? NO_TOKEN]);
  return {
    key,
    keys: [key, olderKey(key)],
    values: [
      ...[found?.subarray(0, TOKEN_BYTES) ?? NO_TOKEN, found?.length ?? 0],
      ...[change.entity, change.slices.size, ...slices],
    ],
  };
}

function scriptOf(text: string): Script {
  return { text, digest: createHash('sha1').update(text).digest('hex') };
}

function decoded(bytes: Buffer | null): PackedEntity | undefined {
  return bytes === null ? undefined : decodeEntity(bytes);
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
