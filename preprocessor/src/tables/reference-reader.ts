import type { ReferenceAnswers, ReferenceRead } from '@hotloop/model/features/reference-reads.ts';
import type { ReferenceRow } from '@hotloop/model/features/sources/source-kind.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { RedisClient } from '@hotloop/platform/redis/redis.ts';
import { within } from '@hotloop/platform/within.ts';
import type { LiveVersion, TableStore } from './table-store.ts';

/**
 * Rows of uploaded tables for predictions. `read` answers all lookups at once, in order, within its time budget;
 * otherwise it returns null, and the declared missing values are used. Never rejects.
 */
export interface ReferenceReader {
  read(reads: readonly ReferenceRead[], timeoutMs: number): Promise<ReferenceAnswers>;
}

/** A reader that follows new versions of tables until it is disposed of. */
export interface FollowingReader extends ReferenceReader, AsyncDisposable {
  /** Checks now which versions are live. */
  refresh(): Promise<void>;
}

export interface ReferenceOptions {
  /** Rows in the memory of this process; default 100,000. */
  readonly maxRows?: number;
  /** Longest wait of one prediction; default 20 ms. */
  readonly budgetMs?: number;
  /** Interval at which new versions of a table are detected; default 1 s. */
  readonly refreshMs?: number;
}

const NONE = '';
const REDIS_SECONDS = 24 * 3600;

/**
 * Opens the reader: a bounded cache in this process, then Redis, then Postgres. Disposal stops following new
 * versions.
 */
export async function openReferenceReader(
  store: Pick<TableStore, 'liveVersions' | 'rows'>,
  redis: RedisClient,
  log: Log,
  options: ReferenceOptions = {},
): Promise<FollowingReader> {
  const reader = new CachedReader(store, redis, log, options);
  await reader.refresh();
  return reader;
}

class CachedReader implements FollowingReader {
  readonly #store: Pick<TableStore, 'liveVersions' | 'rows'>;
  readonly #redis: RedisClient;
  readonly #log: Log;
  readonly #maxRows: number;
  readonly #budgetMs: number;
  readonly #timer: NodeJS.Timeout;
  #live: ReadonlyMap<string, LiveVersion> = new Map();
  /** By `TABLE VERSION KEY`, least recently used first; null: the table has no such row. */
  readonly #rows = new Map<string, ReferenceRow | null>();

  constructor(
    store: Pick<TableStore, 'liveVersions' | 'rows'>,
    redis: RedisClient,
    log: Log,
    options: ReferenceOptions,
  ) {
    this.#store = store;
    this.#redis = redis;
    this.#log = log;
    this.#maxRows = options.maxRows ?? 100_000;
    this.#budgetMs = options.budgetMs ?? 20;
    this.#timer = setInterval(() => void this.refresh(), options.refreshMs ?? 1000);
    this.#timer.unref();
  }

  /** Checks which versions are live. While Postgres cannot be reached, the last known ones stay in use. */
  async refresh(): Promise<void> {
    try {
      this.#live = await this.#store.liveVersions();
    } catch (error) {
      this.#log.debug({ error }, 'the versions of reference tables cannot be read');
    }
  }

  async read(reads: readonly ReferenceRead[], timeoutMs: number): Promise<ReferenceAnswers> {
    if (reads.length === 0) return [];
    try {
      return await within(this.#answer(reads), Math.min(this.#budgetMs, timeoutMs), () => null);
    } catch (error) {
      this.#log.debug({ error }, 'reference tables cannot be read');
      return null;
    }
  }

  async #answer(reads: readonly ReferenceRead[]): Promise<ReferenceAnswers> {
    const answers: (ReferenceRow | null | undefined)[] = reads.map((read) => this.#cached(read));
    const missing = reads.filter((_, at) => answers[at] === undefined);
    if (missing.length > 0) {
      await this.#load(missing);
      for (const [at, read] of reads.entries()) answers[at] ??= this.#cached(read);
    }
    return answers.map((row) => row ?? undefined);
  }

  /** Null: no such row, or no such table; undefined: not cached. */
  #cached({ table, key }: ReferenceRead): ReferenceRow | null | undefined {
    const live = this.#live.get(table);
    if (!live) return null;
    const id = idOf(table, live.version, key);
    const row = this.#rows.get(id);
    if (row === undefined) return undefined;
    this.#rows.delete(id);
    this.#rows.set(id, row);
    return row;
  }

  async #load(reads: readonly ReferenceRead[]): Promise<void> {
    const wanted = reads.map(({ table, key }) => {
      const live = this.#live.get(table) as LiveVersion;
      return { table, key, live, id: idOf(table, live.version, key) };
    });
    const keys = wanted.map(({ id }) => `reference:${id}`);
    // On a cluster each key needs a separate command; commands of one turn are sent together.
    const texts = await (this.#redis.isCluster
      ? Promise.all(keys.map((key) => this.#redis.get(key)))
      : this.#redis.mget(keys)
    ).catch((): (string | null)[] => wanted.map(() => null));
    const unknown: typeof wanted = [];
    for (const [at, want] of wanted.entries()) {
      const text = texts[at];
      if (text === null || text === undefined) unknown.push(want);
      else
        this.#keep(
          want.id,
          text === NONE ? null : { fields: bare(JSON.parse(text)), atMs: want.live.uploadedMs },
        );
    }
    const written: Promise<unknown>[] = [];
    for (const [table, wants] of Map.groupBy(unknown, (want) => want.table)) {
      const live = this.#live.get(table) as LiveVersion;
      const rows = await this.#store.rows(
        table,
        live.version,
        wants.map(({ key }) => key),
      );
      const found = new Map(rows.map(({ key, fields }) => [key, fields]));
      for (const { id, key } of wants) {
        const fields = found.get(key);
        this.#keep(id, fields === undefined ? null : { fields: bare(fields), atMs: live.uploadedMs });
        const text = fields === undefined ? NONE : JSON.stringify(fields);
        written.push(this.#redis.set(`reference:${id}`, text, 'EX', REDIS_SECONDS));
      }
    }
    void Promise.all(written).catch(() => undefined);
  }

  #keep(id: string, row: ReferenceRow | null): void {
    this.#rows.set(id, row);
    if (this.#rows.size <= this.#maxRows) return;
    const [oldest] = this.#rows.keys();
    if (oldest !== undefined) this.#rows.delete(oldest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
  }
}

function idOf(table: string, version: number, key: string): string {
  return `${table} ${version} ${key}`;
}

function bare(fields: object): ReferenceRow['fields'] {
  return Object.assign(Object.create(null) as Record<string, never>, fields);
}
