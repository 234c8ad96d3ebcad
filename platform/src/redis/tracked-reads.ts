import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { RedisClient } from './redis.ts';

/** What a value is about. */
export interface Named {
  readonly entity: string;
  readonly entityId: string;
}

export interface TrackedReadsOptions<T> {
  /** The key of a value; different names have different keys. */
  readonly keyOf: (name: Named) => string;
  /** Decodes a value. If it throws, `get` rejects with that error. */
  readonly decode: (bytes: Buffer) => T;
  /** Largest total size of the cached values in bytes, as stored in Redis. Decoded they take several times as much. */
  readonly maxBytes: number;
  /** Interval of the pings that check the connection `changes`; default 1 s. */
  readonly heartbeatMs?: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Redis sends the names of changed keys here. */
const CHANGES = '__redis__:invalidate';
/** Cached values are not used when no ping of `changes` sent within this time was answered. */
const TRUST_MS = 3000;
/** Estimated overhead of a cache entry, in addition to its value. */
const ENTRY_BYTES = 300;

interface Entry<T> extends Named {
  readonly value: T | undefined;
  readonly bytes: number;
}

/**
 * Reads string values through a cache in this process, which Redis invalidates (client-side caching, CLIENT TRACKING).
 * `reads` fetches values; `changes` (opened with `hearsChanges`, used by nothing else) receives the names of changed keys.
 * A returned value is out of date by at most a network delay; by at most three seconds when `changes` stops responding.
 * Without tracking (a cluster, no connection, a server that does not know the command) every read goes to Redis.
 * Disposing stops it; the caller closes the clients.
 */
export class TrackedReads<T> implements AsyncDisposable {
  readonly redis: RedisClient;
  readonly #changes: RedisClient;
  readonly #options: TrackedReadsOptions<T>;
  /** Cached entries by their keys, in the order in which they were read. */
  readonly #kept = new Map<string, Entry<T>>();
  /**
   * The same by entity and id: a prediction looks up hundreds, and to make and hash a key costs more than the rest of
   * a lookup.
   */
  readonly #byId = new Map<string, Map<string, Entry<T>>>();
  #bytes = 0;
  /** One set for each read in flight: the keys that changed since it was sent. */
  readonly #underWay = new Set<Set<string>>();
  /** Increases whenever the whole cache is cleared. */
  #epoch = 0;
  /** Number of closed connections: of either, and of `changes`. */
  #closes = 0;
  #changesCloses = 0;
  /** The connection that receives invalidations, and the server that it is connected to. */
  #hearing: { readonly id: number; readonly server: string } | undefined;
  #isDivided = false;
  #isTracking = false;
  #heardAt = 0;
  #isClosed = false;
  #warned = false;
  readonly #timer: NodeJS.Timeout;

  constructor(reads: RedisClient, changes: RedisClient, options: TrackedReadsOptions<T>) {
    this.redis = reads;
    this.#changes = changes;
    this.#options = options;
    changes.on('ready', () => void this.#listen());
    changes.on('close', () => this.#lose(true));
    changes.on('messageBuffer', (_: Buffer, keys: readonly Buffer[] | null) => this.#changed(keys));
    reads.on('ready', () => void this.#track());
    reads.on('close', () => this.#lose(false));
    this.#timer = setInterval(() => this.#askForLife(), options.heartbeatMs ?? 1000);
    this.#timer.unref();
    if (changes.status === 'ready') void this.#listen();
  }

  /** True while cached values may be returned without asking Redis. */
  get isTracking(): boolean {
    return this.#isTracking && this.#options.clock.monotonic() - this.#heardAt <= TRUST_MS;
  }

  /** The values of the names, in the same order; undefined for names without a value. Rejects when Redis fails. */
  async get(names: readonly Named[]): Promise<(T | undefined)[]> {
    const { keyOf } = this.#options;
    if (!this.isTracking) return (await this.#fetch(names.map(keyOf))).map((bytes) => this.#decoded(bytes));
    const values: (T | undefined)[] = [];
    const others = new Map<string, Named>();
    // The first missing value is requested before the others are looked up: often it is the only one.
    let first: Promise<Map<string, T | undefined>> | undefined;
    let entity: string | undefined;
    let ids: Map<string, Entry<T>> | undefined;
    for (const name of names) {
      if (name.entity !== entity) {
        entity = name.entity;
        ids = this.#byId.get(entity);
      }
      const entry = ids?.get(name.entityId);
      values.push(entry?.value);
      if (entry !== undefined) continue;
      if (first === undefined) first = this.#readAndKeep(new Map([[keyOf(name), name]]));
      else others.set(keyOf(name), name);
    }
    if (first === undefined) return values;
    const [one, rest] = await Promise.all([first, others.size === 0 ? undefined : this.#readAndKeep(others)]);
    return values.map((value, index) => {
      if (value !== undefined) return value;
      const key = keyOf(names[index] as Named);
      return rest?.get(key) ?? one.get(key);
    });
  }

  async #readAndKeep(names: ReadonlyMap<string, Named>): Promise<Map<string, T | undefined>> {
    const epoch = this.#epoch;
    const keys = [...names.keys()];
    const changed = new Set<string>();
    const values = new Map<string, T | undefined>();
    this.#underWay.add(changed);
    try {
      for (const [index, found] of (await this.#fetch(keys)).entries()) {
        const key = keys[index] as string;
        // A copy, because the buffer of the reply contains all its values and would stay in memory.
        const bytes = found && Buffer.from(found);
        const value = this.#decoded(bytes);
        values.set(key, value);
        if (epoch === this.#epoch && !changed.has(key))
          this.#keep(key, names.get(key) as Named, value, bytes?.length ?? 0);
      }
    } finally {
      this.#underWay.delete(changed);
    }
    return values;
  }

  /** Removes keys that this process has changed itself, without waiting for the message from Redis. */
  drop(keys: Iterable<string>): void {
    for (const key of keys) {
      const entry = this.#kept.get(key);
      if (entry !== undefined) this.#remove(key, entry);
      for (const changed of this.#underWay) changed.add(key);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#isClosed = true;
    this.#lose(true);
  }

  #fetch(keys: readonly string[]): Promise<(Buffer | null)[]> {
    return this.redis.isCluster
      ? Promise.all(keys.map((key) => this.redis.getBuffer(key)))
      : this.redis.mgetBuffer([...keys]);
  }

  #decoded(bytes: Buffer | null): T | undefined {
    return bytes === null ? undefined : this.#options.decode(bytes);
  }

  #keep(key: string, { entity, entityId }: Named, value: T | undefined, length: number): void {
    const bytes = length + ENTRY_BYTES;
    const entry = { entity, entityId, value, bytes };
    this.#bytes += bytes - (this.#kept.get(key)?.bytes ?? 0);
    this.#kept.set(key, entry);
    const ids = this.#byId.get(entity);
    if (ids === undefined) this.#byId.set(entity, new Map([[entityId, entry]]));
    else ids.set(entityId, entry);
    for (const [oldest, one] of this.#kept) {
      if (this.#bytes <= this.#options.maxBytes) return;
      this.#remove(oldest, one);
    }
  }

  #remove(key: string, { entity, entityId, bytes }: Entry<T>): void {
    this.#kept.delete(key);
    const ids = this.#byId.get(entity);
    ids?.delete(entityId);
    // Callers choose the names of entities.
    if (ids?.size === 0) this.#byId.delete(entity);
    this.#bytes -= bytes;
  }

  /** Null means that all keys changed, as after FLUSHDB. */
  #changed(keys: readonly Buffer[] | null): void {
    if (keys === null) this.#forget();
    else this.drop(keys.map(String));
  }

  #forget(): void {
    this.#epoch++;
    this.#kept.clear();
    this.#byId.clear();
    this.#bytes = 0;
  }

  #lose(changes: boolean): void {
    this.#forget();
    this.#closes++;
    this.#isTracking = false;
    if (!changes) return;
    this.#changesCloses++;
    this.#hearing = undefined;
    this.#isDivided = false;
  }

  async #listen(): Promise<void> {
    const closes = this.#changesCloses;
    try {
      if (this.redis.isCluster || this.#isClosed) return;
      // A subscribed connection answers neither of these commands.
      const hearing = { id: await this.#changes.client('ID'), server: await serverOf(this.#changes) };
      await this.#changes.subscribe(CHANGES);
      if (closes !== this.#changesCloses) return;
      this.#hearing = hearing;
      await this.#track();
    } catch (error) {
      this.#warn(error);
    }
  }

  async #track(): Promise<void> {
    const closes = this.#closes;
    const hearing = this.#hearing;
    if (hearing === undefined || this.#isClosed || this.redis.status !== 'ready') return;
    try {
      // After a failover one of the two may still be connected to the earlier leader.
      this.#isDivided = (await serverOf(this.redis)) !== hearing.server;
      if (this.#isDivided) return;
      const askedAt = this.#options.clock.monotonic();
      await this.redis.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', String(hearing.id));
      if (closes !== this.#closes) return;
      this.#isTracking = true;
      this.#heardAt = askedAt;
    } catch (error) {
      this.#warn(error);
    }
  }

  #warn(error: unknown): void {
    const { log } = this.#options;
    if (this.#warned) log.debug({ error }, 'Redis does not tell of changes');
    else log.warn({ error }, 'Redis does not tell of changes; every read goes to it');
    this.#warned = true;
  }

  /** Redis answers in order, so an answered ping shows that all earlier invalidations have arrived. */
  #askForLife(): void {
    if (this.#isDivided) this.#changes.disconnect(true);
    if (!this.#isTracking) return;
    const closes = this.#closes;
    const askedAt = this.#options.clock.monotonic();
    this.#changes.ping().then(
      () => {
        if (closes === this.#closes) this.#heardAt = askedAt;
      },
      () => undefined,
    );
  }
}

/** Names the server behind a connection. */
async function serverOf(redis: RedisClient): Promise<string> {
  return /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1] ?? '';
}
