import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type DuckDBConnection,
  DuckDBDataChunkWriter,
  DuckDBInstance,
  type DuckDBValue,
  type JS,
  JSToDuckDBValueConverter,
} from '@duckdb/node-api';
import { HotloopError } from '@hotloop/proto/errors.ts';

/** A value of a row: BIGINT becomes a bigint, TIMESTAMP a Date, BLOB a Buffer, a list an array, a struct an object. */
export type DuckDbValue = JS;
export type DuckDbRow = Readonly<Record<string, DuckDbValue>>;
/** Parameters of a statement: `$1` ... by position, or `$name` by name. */
export type DuckDbParameters = readonly DuckDbParameter[] | Readonly<Record<string, DuckDbParameter>>;
export type DuckDbParameter = string | number | bigint | boolean | null;

/** Columns of a table in order: name to DuckDB type, such as `{ at: 'TIMESTAMP', score: 'DOUBLE[]' }`. */
export type DuckDbColumns = Readonly<Record<string, string>>;

export interface DuckDbOptions {
  /** Memory limit, in MB, beyond which data is spilled to the temporary folder; default 512. */
  readonly memoryMb?: number;
  /** Default 1, because a service shares its processors with others. */
  readonly threads?: number;
  /** Folder for spilled data, and the default folder for results; default: a new folder that is removed on disposal. */
  readonly temporaryFolder?: string;
  /** Limit for spilled data, in MB; default 4096. */
  readonly temporaryMb?: number;
}

export interface ParquetOptions {
  readonly compression?: 'zstd' | 'snappy' | 'uncompressed';
  readonly rowsPerGroup?: number;
}

/**
 * An in-memory database with bounded memory. It runs one statement at a time; further ones wait. Nothing is
 * downloaded: only the built-in extensions (Parquet, JSON, ICU) can be used. Statements fail with INVALID_ARGUMENT
 * and DuckDB's message; RESOURCE_EXHAUSTED when memory or temporary space is used up; CANCELLED after the signal,
 * which interrupts the running statement.
 */
export interface DuckDb extends AsyncDisposable {
  /** Folder for files of the code that uses this database; removed on disposal unless it was given. */
  readonly temporaryFolder: string;
  /** Runs one or more statements and discards their rows. */
  run(sql: string, parameters?: DuckDbParameters, signal?: AbortSignal): Promise<void>;
  /** All rows of the last statement, in memory: for small results. */
  query(sql: string, parameters?: DuckDbParameters, signal?: AbortSignal): Promise<DuckDbRow[]>;
  /** The rows in batches of up to 2,048, read on demand. The database is busy until the end or `return`. */
  stream(sql: string, parameters?: DuckDbParameters, signal?: AbortSignal): AsyncGenerator<DuckDbRow[]>;
  /** Creates a table, replacing one of the same name. */
  createTable(table: string, columns: DuckDbColumns): Promise<void>;
  /**
   * Appends rows, each with its values in the order of the table's columns. Returns how many. If a row does not fit,
   * the rows before it stay appended.
   */
  append(
    table: string,
    rows: Iterable<readonly DuckDbValue[]> | AsyncIterable<readonly DuckDbValue[]>,
  ): Promise<number>;
  /** Writes the rows of a SELECT (or of a named table) to one Parquet file; returns how many. */
  writeParquet(select: string, path: string, options?: ParquetOptions): Promise<number>;
}

/** Quotes the name of a table or column. */
export function sqlName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes a text, such as a path, where a parameter is not allowed. */
export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * A table function over Parquet files, for use after FROM. The files may have different columns; they are matched by
 * name.
 */
export function parquetSource(paths: readonly string[]): string {
  return `read_parquet([${paths.map(sqlText).join(', ')}], union_by_name = true)`;
}

/** Opens a database. Disposal interrupts a running statement, closes the database and removes its temporary folder. */
export async function openDuckDb(options: DuckDbOptions = {}): Promise<DuckDb> {
  const folder = options.temporaryFolder ?? (await mkdtemp(join(tmpdir(), 'hotloop-duckdb-')));
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: `${options.memoryMb ?? 512}MB`,
    threads: String(options.threads ?? 1),
    temp_directory: join(folder, 'spilled'),
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  const connection = await instance.connect();
  await connection.run(
    `SET TimeZone = 'UTC'; SET max_temp_directory_size = '${options.temporaryMb ?? 4096}MB'`,
  );
  const ownFolder = options.temporaryFolder === undefined;
  return new OneDuckDb(instance, connection, folder, ownFolder);
}

class OneDuckDb implements DuckDb {
  readonly temporaryFolder: string;
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  readonly #ownFolder: boolean;
  #last: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;

  constructor(instance: DuckDBInstance, connection: DuckDBConnection, folder: string, ownFolder: boolean) {
    this.#instance = instance;
    this.#connection = connection;
    this.temporaryFolder = folder;
    this.#ownFolder = ownFolder;
  }

  async run(sql: string, parameters?: DuckDbParameters, signal?: AbortSignal): Promise<void> {
    await this.#alone(() => this.#connection.run(sql, bound(parameters)), signal);
  }

  query(sql: string, parameters?: DuckDbParameters, signal?: AbortSignal): Promise<DuckDbRow[]> {
    return this.#alone(async () => {
      const reader = await this.#connection.streamAndReadAll(sql, bound(parameters));
      return reader.getRowObjectsJS();
    }, signal);
  }

  async *stream(
    sql: string,
    parameters?: DuckDbParameters,
    signal?: AbortSignal,
  ): AsyncGenerator<DuckDbRow[]> {
    const turn = Promise.withResolvers<void>();
    const before = this.#last;
    this.#last = turn.promise;
    await before;
    const stop = this.#interruptedBy(signal);
    try {
      const result = await this.#connection.stream(sql, bound(parameters));
      for await (const rows of result.yieldRowObjectJs()) yield rows;
    } catch (error) {
      throw fromDuckDb(error, signal);
    } finally {
      stop();
      turn.resolve();
    }
  }

  async createTable(table: string, columns: DuckDbColumns): Promise<void> {
    const list = Object.entries(columns).map(([name, type]) => `${sqlName(name)} ${type}`);
    await this.run(`CREATE OR REPLACE TABLE ${sqlName(table)} (${list.join(', ')})`);
  }

  append(
    table: string,
    rows: Iterable<readonly DuckDbValue[]> | AsyncIterable<readonly DuckDbValue[]>,
  ): Promise<number> {
    return this.#alone(async () => {
      const appender = await this.#connection.createAppender(table);
      let count = 0;
      try {
        const writer = DuckDBDataChunkWriter.forAppender(appender, { converter: JSToDuckDBValueConverter });
        for await (const row of rows) {
          writer.appendRow(row);
          count++;
        }
        writer.flush();
        appender.flushSync();
      } finally {
        appender.closeSync();
      }
      return count;
    });
  }

  async writeParquet(select: string, path: string, options: ParquetOptions = {}): Promise<number> {
    const source = /^\s*(select|with|from|values)\b/i.test(select) ? `(${select})` : sqlName(select);
    const settings = [
      'FORMAT parquet',
      `COMPRESSION ${options.compression ?? 'zstd'}`,
      `ROW_GROUP_SIZE ${options.rowsPerGroup ?? 100_000}`,
    ];
    const [row] = await this.query(`COPY ${source} TO ${sqlText(path)} (${settings.join(', ')})`);
    return Number(row?.Count ?? 0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#connection.interrupt();
    await this.#last.catch(() => undefined);
    this.#connection.closeSync();
    this.#instance.closeSync();
    if (this.#ownFolder) await rm(this.temporaryFolder, { recursive: true, force: true });
  }

  async #alone<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#closed) throw new HotloopError('FAILED_PRECONDITION', 'the database was closed');
    const turn = this.#last.then(async () => {
      const stop = this.#interruptedBy(signal);
      try {
        signal?.throwIfAborted();
        return await work();
      } catch (error) {
        throw fromDuckDb(error, signal);
      } finally {
        stop();
      }
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** An interrupt before the statement has started is lost, so it is repeated until the statement has ended. */
  #interruptedBy(signal: AbortSignal | undefined): () => void {
    if (!signal) return () => undefined;
    let repeated: NodeJS.Timeout | undefined;
    const interrupt = () => {
      this.#connection.interrupt();
      repeated ??= setInterval(() => this.#connection.interrupt(), 20);
    };
    signal.addEventListener('abort', interrupt, { once: true });
    return () => {
      clearInterval(repeated);
      signal.removeEventListener('abort', interrupt);
    };
  }
}

function bound(
  parameters: DuckDbParameters | undefined,
): DuckDBValue[] | Record<string, DuckDBValue> | undefined {
  return parameters as DuckDBValue[] | Record<string, DuckDBValue> | undefined;
}

function fromDuckDb(error: unknown, signal: AbortSignal | undefined): unknown {
  if (error instanceof HotloopError) return error;
  if (signal?.aborted) return new HotloopError('CANCELLED', 'the statement was cancelled', { cause: error });
  const message = withoutOurs(error instanceof Error ? error.message : String(error));
  if (/^(Out of Memory|IO) Error: .*(max_temp_directory_size|memory|space)/is.test(message))
    return new HotloopError('RESOURCE_EXHAUSTED', message, { reason: 'duckdb_memory', cause: error });
  return new HotloopError('INVALID_ARGUMENT', message, { reason: 'duckdb', cause: error });
}

/**
 * Removes the statement, which DuckDB quotes after `LINE n:` and which is internal, and paths below the temporary
 * folder, where uploaded files and spilled data are.
 */
function withoutOurs(message: string): string {
  const parts = message.replace(/\n+LINE \d+: .*/s, '').split(`${tmpdir()}/`);
  return parts.map((part, index) => (index === 0 ? part : part.replace(/^[^\s'"]*/, 'the file'))).join('');
}
