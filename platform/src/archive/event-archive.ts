import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Attributes } from '@hotloop/model/value.ts';
import { HOUR_MS } from '@hotloop/proto/time-units.ts';
import { type DuckDb, openDuckDb, parquetSource, sqlText } from '../duckdb/duckdb.ts';
import type { ObjectStore } from '../object-store/object-store.ts';

/** One archived event. Times are milliseconds since 1970. */
export interface ArchivedEvent {
  /** Identifies the event: equal keys mean the same event. */
  readonly key: string;
  readonly type: string;
  readonly atMs: number;
  /** Time of arrival in microseconds; strictly increasing within one process. Breaks ties of `atMs`. */
  readonly arrivalUs: number;
  /** Maps each kind of entity to its id. */
  readonly entities: Readonly<Record<string, string>>;
  readonly fields: Attributes;
}

export interface ArchiveRange {
  readonly sinceMs: number;
  /** Exclusive. */
  readonly untilMs: number;
  /** Default: all types. */
  readonly types?: readonly string[];
}

/**
 * All events as Parquet in the store: `events/TYPE/HOUR/NAME.parquet`, HOUR such as 2026-01-02T03 (UTC). Columns:
 * key, type, at (ms), arrival (us), entities and fields (JSON). New files arrive every few seconds; `compact` merges
 * them into one per type and hour.
 */
export interface EventArchive extends AsyncDisposable {
  /**
   * Adds a file of JSON lines written by `eventLine`. A file with a name that was added before replaces its earlier
   * rows. Returns the number of events in it.
   */
  addFile(path: string): Promise<number>;
  /**
   * The events of a range, ordered by time and then arrival, hour by hour. Within an hour each key appears once (the
   * first arrival). Holds one hour of events on disk and one batch in memory.
   */
  read(range: ArchiveRange): AsyncGenerator<ArchivedEvent[], void, undefined>;
  /** Merges the files of each type and hour that ended before `beforeMs`; returns how many files were removed. */
  compact(beforeMs: number): Promise<number>;
}

const ROOT = 'events';
const MOST_LISTINGS = 5;
const COLUMNS =
  "{key: 'VARCHAR', type: 'VARCHAR', at_ms: 'BIGINT', arrival_us: 'BIGINT', entities: 'VARCHAR', fields: 'VARCHAR'}";
const HOUR_OF = "strftime(make_timestamp(at_ms * 1000), '%Y-%m-%dT%H')";
const FIRST_OF_KEY = 'QUALIFY row_number() OVER (PARTITION BY type, key ORDER BY arrival_us) = 1';

/** One event as a line of a file for `addFile`. */
export function eventLine({ key, type, atMs, arrivalUs, entities, fields }: ArchivedEvent): string {
  const text = JSON.stringify;
  // Entities and fields are texts, whose contents are JSON.
  return `{"key":${text(key)},"type":${text(type)},"at_ms":${atMs},"arrival_us":${arrivalUs},"entities":${text(text(entities))},"fields":${text(text(fields))}}\n`;
}

/** Opens the archive over a store. Disposal closes the database and removes its temporary files. */
export async function openEventArchive(store: ObjectStore): Promise<EventArchive> {
  return new ParquetArchive(store, await openDuckDb({ memoryMb: 256 }));
}

class ParquetArchive implements EventArchive {
  readonly #store: ObjectStore;
  readonly #database: DuckDb;

  constructor(store: ObjectStore, database: DuckDb) {
    this.#store = store;
    this.#database = database;
  }

  async addFile(path: string): Promise<number> {
    const table = temporaryName();
    const name = basename(path).replace(/\..*$/, '');
    try {
      await this.#database.run(
        `CREATE TABLE ${table} AS SELECT *, ${HOUR_OF} AS hour
         FROM read_json(${sqlText(path)}, format = 'newline_delimited', columns = ${COLUMNS})`,
      );
      const groups = await this.#database.query(
        `SELECT type, hour, count(*)::INTEGER AS events FROM ${table} GROUP BY type, hour ORDER BY hour, type`,
      );
      let count = 0;
      for (const { type, hour, events } of groups) {
        const local = join(this.#database.temporaryFolder, `${table}.parquet`);
        await this.#database.writeParquet(
          `SELECT * EXCLUDE (hour) FROM ${table}
           WHERE type = ${sqlText(String(type))} AND hour = ${sqlText(String(hour))} ORDER BY at_ms, arrival_us`,
          local,
        );
        await this.#store.putFile(`${ROOT}/${type}/${hour}/${name}.parquet`, local);
        await rm(local, { force: true });
        count += Number(events);
      }
      return count;
    } finally {
      await this.#database.run(`DROP TABLE IF EXISTS ${table}`);
    }
  }

  async *read(range: ArchiveRange): AsyncGenerator<ArchivedEvent[], void, undefined> {
    const { sinceMs, untilMs } = range;
    const hours = await this.#hoursOf(range);
    for (const hour of [...hours.keys()].sort()) {
      const folder = join(this.#database.temporaryFolder, temporaryName());
      try {
        const paths = await this.#fetchHour(range, hour, hours.get(hour) ?? [], folder);
        if (paths.length === 0) continue;
        const rows = this.#database.stream(
          `SELECT * FROM ${parquetSource(paths)} WHERE at_ms >= $1 AND at_ms < $2 ${FIRST_OF_KEY} ORDER BY at_ms, arrival_us`,
          [BigInt(Math.trunc(sinceMs)), BigInt(Math.trunc(untilMs))],
        );
        for await (const batch of rows) yield batch.map(eventOf);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }
  }

  /** The object keys of each hour of a range. */
  async #hoursOf({ sinceMs, untilMs, types }: ArchiveRange): Promise<Map<string, string[]>> {
    const hours = new Map<string, string[]>();
    for await (const { key } of this.#store.list(`${ROOT}/`)) {
      const [, type = '', hour = ''] = key.split('/');
      const startMs = hourStartMs(hour);
      if (types && !types.includes(type)) continue;
      if (startMs + HOUR_MS <= sinceMs || startMs >= untilMs) continue;
      hours.set(hour, [...(hours.get(hour) ?? []), key]);
    }
    return hours;
  }

  /**
   * If a compaction changes the hour during the fetch, it is listed again: the merged file contains the removed ones.
   */
  async #fetchHour(
    range: ArchiveRange,
    hour: string,
    listed: readonly string[],
    folder: string,
  ): Promise<string[]> {
    let keys = listed;
    for (let attempt = 1; ; attempt++) {
      const paths = await this.#fetch(keys, join(folder, String(attempt)));
      if (paths.length === keys.length || attempt === MOST_LISTINGS) return paths;
      keys = (await this.#hoursOf(range)).get(hour) ?? [];
    }
  }

  async compact(beforeMs: number): Promise<number> {
    const groups = new Map<string, string[]>();
    for await (const { key } of this.#store.list(`${ROOT}/`)) {
      const [root, type, hour = ''] = key.split('/');
      if (hourStartMs(hour) + HOUR_MS > beforeMs) continue;
      const group = `${root}/${type}/${hour}`;
      groups.set(group, [...(groups.get(group) ?? []), key]);
    }
    let gone = 0;
    for (const [group, keys] of groups) if (keys.length > 1) gone += await this.#merge(group, keys);
    return gone;
  }

  /**
   * The merged file is stored before the others are removed, so a concurrent reader sees events twice but never
   * misses any.
   */
  async #merge(group: string, keys: readonly string[]): Promise<number> {
    const folder = join(this.#database.temporaryFolder, temporaryName());
    try {
      const paths = await this.#fetch(keys, folder);
      if (paths.length < keys.length) return 0;
      const merged = join(folder, 'merged.parquet');
      await this.#database.writeParquet(
        `SELECT * FROM ${parquetSource(paths)} ${FIRST_OF_KEY} ORDER BY at_ms, arrival_us`,
        merged,
      );
      await this.#store.putFile(`${group}/${randomUUID()}.parquet`, merged);
      for (const key of keys) await this.#store.remove(key);
      return keys.length - 1;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Copies objects into a folder; skips objects that a compaction removed meanwhile. */
  async #fetch(keys: readonly string[], folder: string): Promise<string[]> {
    await mkdir(folder, { recursive: true });
    const paths: string[] = [];
    for (const [index, key] of keys.entries()) {
      const path = join(folder, `${index}.parquet`);
      const found = await this.#store.getFile(key, path).then(
        () => true,
        (error: unknown) => {
          if ((error as { code?: string }).code === 'NOT_FOUND') return false;
          throw error;
        },
      );
      if (found) paths.push(path);
    }
    return paths;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#database[Symbol.asyncDispose]();
  }
}

function hourStartMs(hour: string): number {
  return Date.parse(`${hour}:00:00Z`);
}

function temporaryName(): string {
  return `t_${randomUUID().replaceAll('-', '')}`;
}

function eventOf(row: Readonly<Record<string, unknown>>): ArchivedEvent {
  return {
    key: String(row.key),
    type: String(row.type),
    atMs: Number(row.at_ms),
    arrivalUs: Number(row.arrival_us),
    entities: bare<string>(row.entities),
    fields: bare<Attributes[string]>(row.fields),
  };
}

function bare<Value>(json: unknown): Record<string, Value> {
  return Object.assign(Object.create(null) as Record<string, Value>, JSON.parse(String(json)));
}
