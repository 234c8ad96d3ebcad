import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  BOOLEAN,
  DOUBLE,
  type DuckDBConnection,
  DuckDBDoubleVector,
  DuckDBInstance,
  type DuckDBPreparedStatement,
  DuckDBScalarFunction,
  type DuckDBValue,
  FLOAT,
  INTEGER,
  LIST,
  TINYINT,
  VARCHAR,
} from '@duckdb/node-api';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type DistinctTexts, type PlainColumn, readColumn } from './read-column.ts';
import { float32Text, textOf } from './sql-text.ts';

/** Types of the values that a column function reads. */
export type ColumnType = 'float64' | 'float32' | 'string' | 'distinct-texts' | 'bool' | 'int8' | 'int32';
export type ReturnType = 'float64' | 'string' | 'bool' | 'float64[]';
/**
 * One value per row; null is NULL. Numbers come as typed arrays, in which NULL is NaN; flags and small integers as
 * Int8Array, in which NULL is NULL_INT8; int32, for values that are never NULL, as Int32Array; `distinct-texts` as
 * distinct values with an index per row.
 */
export type ColumnData = PlainColumn | DistinctTexts;

/** A function over whole columns, called with up to 2,048 rows at a time on this process's main thread. */
export interface ColumnFunction {
  readonly name: string;
  readonly parameters: readonly ColumnType[];
  readonly returns: ReturnType;
  /**
   * Called exactly once per row, however often and wherever the statement uses its result. By default the engine may
   * repeat calls, for example in a filter that it pushes down, and share the results of equal calls.
   */
  readonly once?: boolean;
  /** A Float64Array may contain NaN for NULL. */
  readonly nanIsNull?: boolean;
  /** One value per row; null becomes NULL. An error ends the statement with its message. */
  run(
    columns: readonly ColumnData[],
    rows: number,
  ): ArrayLike<number | string | boolean | null | readonly number[]>;
}

export type SqlParameter = string | number | bigint | boolean | null;

export interface SqlColumn {
  readonly name: string;
  /** DuckDB's name of the type, such as DOUBLE or VARCHAR[]. */
  readonly type: string;
}

/** A statement whose columns are known before it runs. */
export interface SqlStatement extends Disposable {
  readonly columns: readonly SqlColumn[];
  readonly parameterTypes: readonly string[];
  /** True when the statement returns rows, such as SELECT or EXPLAIN. */
  readonly isQuery: boolean;
  /** It only reads: a SELECT, not an EXPLAIN ANALYZE of another statement. */
  readonly isSelect: boolean;
  /**
   * Runs the statement and yields the rows in batches, each value as text (null: NULL). The generator's return value
   * is the number of changed rows.
   */
  run(parameters: readonly SqlParameter[]): AsyncGenerator<(string | null)[][], number>;
}

export interface SqlConnection extends Disposable {
  /** Throws INVALID_ARGUMENT with DuckDB's own message, whose first word is the kind of error. */
  prepare(sql: string): Promise<SqlStatement>;
  run(sql: string): Promise<void>;
  /**
   * The tables that a statement reads, qualified if the text qualifies them; empty for a statement that cannot be
   * parsed.
   */
  tableNames(sql: string): readonly string[];
  /** All rows as objects of plain JavaScript values; for small results. */
  rows(sql: string): Promise<Record<string, unknown>[]>;
  /** Interrupts the statement that runs on this connection. */
  interrupt(): void;
}

export interface SqlDatabase extends AsyncDisposable {
  connect(): Promise<SqlConnection>;
  /** Registers a function for all connections. */
  register(fn: ColumnFunction): Promise<void>;
}

export interface SqlDatabaseOptions {
  readonly memoryMb: number;
  readonly threads: number;
  /** False: statements cannot read or write files, whatever they contain. */
  readonly files: boolean;
  /** Folders that may be read and written although `files` is false. */
  readonly folders?: readonly string[];
}

/** Opens an in-memory database for many connections. Nothing is downloaded, and no extension is loaded. */
export async function openSqlDatabase(options: SqlDatabaseOptions): Promise<SqlDatabase> {
  const spill = await mkdtemp(join(tmpdir(), 'hotloop-sql-'));
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: `${options.memoryMb}MB`,
    threads: String(options.threads),
    temp_directory: spill,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  const own = await instance.connect();
  await own.run("SET TimeZone = 'UTC'");
  if (!options.files) {
    const folders = [spill, ...(options.folders ?? [])].map((folder) => `'${folder.replaceAll("'", "''")}/'`);
    await own.run(`SET allowed_directories = [${folders.join(', ')}]`);
    await own.run('SET enable_external_access = false; SET lock_configuration = true');
  }
  return {
    async connect() {
      return connectionOf(await instance.connect());
    },
    async register(fn) {
      own.registerScalarFunction(scalarFunctionOf(fn));
    },
    async [Symbol.asyncDispose]() {
      own.closeSync();
      instance.closeSync();
      await rm(spill, { recursive: true, force: true });
    },
  };
}

const TYPES = {
  ...{ float64: DOUBLE, float32: FLOAT, string: VARCHAR, 'distinct-texts': VARCHAR },
  ...{ bool: BOOLEAN, int8: TINYINT, int32: INTEGER },
} as const;

function scalarFunctionOf(fn: ColumnFunction): DuckDBScalarFunction {
  return DuckDBScalarFunction.create({
    name: fn.name,
    parameterTypes: fn.parameters.map((type) => TYPES[type]),
    returnType: fn.returns === 'float64[]' ? LIST(DOUBLE) : TYPES[fn.returns],
    specialHandling: true,
    volatile: fn.once ?? false,
    mainFunction(_info, chunk, out) {
      const rows = chunk.rowCount;
      const columns = fn.parameters.map((type, index) =>
        readColumn(type, chunk.getColumnVector(index), rows),
      );
      const values = fn.run(columns, rows);
      if (values instanceof Float64Array && out instanceof DuckDBDoubleVector) {
        // All values at once: the library would set each value and its validity separately.
        (out as unknown as { readonly items: Float64Array }).items.set(values.subarray(0, rows));
        if (fn.nanIsNull)
          for (let row = 0; row < rows; row++) if (Number.isNaN(values[row])) out.setItem(row, null);
        out.flush();
        return;
      }
      for (let row = 0; row < rows; row++) {
        const value = values[row];
        out.setItem(row, (Array.isArray(value) ? { items: value } : (value ?? null)) as never);
      }
      out.flush();
    },
  });
}

function connectionOf(connection: DuckDBConnection): SqlConnection {
  return {
    async prepare(sql) {
      const extracted = await said(() => connection.extractStatements(sql));
      if (extracted.count !== 1)
        throw new HotloopError('INVALID_ARGUMENT', `one statement is needed, not ${extracted.count}`, {
          reason: 'not_one_statement',
        });
      return statementOf(await said(() => connection.prepare(sql)));
    },
    run: (sql) => said(async () => void (await connection.run(sql))),
    rows: (sql) =>
      said(async () => (await connection.runAndReadAll(sql)).getRowObjectsJS() as Record<string, unknown>[]),
    tableNames: (sql) => connection.getTableNames(sql, true),
    interrupt: () => connection.interrupt(),
    [Symbol.dispose]: () => connection.closeSync(),
  };
}

function statementOf(prepared: DuckDBPreparedStatement): SqlStatement {
  const columns = Array.from({ length: prepared.columnCount }, (_, index) => ({
    name: prepared.columnName(index),
    type: prepared.columnTypeId(index) === 0 ? '' : String(prepared.columnType(index)),
  }));
  const parameters = Array.from({ length: prepared.parameterCount }, (_, index) => index + 1);
  const isQuery = QUERIES.has(prepared.statementType);
  return {
    columns,
    parameterTypes: parameters.map((index) => parameterType(prepared, index)),
    isQuery,
    isSelect: prepared.statementType === SELECT,
    async *run(values) {
      for (const index of parameters) bind(prepared, index, values[index - 1] ?? null);
      const result = await said(() => prepared.stream());
      let changed = 0;
      for (;;) {
        const chunk = await said(() => result.fetchChunk());
        if (!chunk || chunk.rowCount === 0) break;
        const rows = chunk.getRows() as DuckDBValue[][];
        if (isQuery)
          yield rows.map((row) =>
            row.map((value, at) => (columns[at]?.type === 'FLOAT' ? float32Text(value) : textOf(value))),
          );
        else changed += Number(rows[0]?.[0] ?? 0) || 0;
      }
      return changed;
    },
    [Symbol.dispose]: () => prepared.destroySync(),
  };
}

/** SELECT, EXPLAIN, EXECUTE, PRAGMA, CALL, by DuckDB's numbers of statement types; all others return a count. */
const SELECT = 1;
const QUERIES: ReadonlySet<number> = new Set([1, 4, 8, 17, 19]);

/** Empty when the statement leaves the type open, for which the library has no name. */
function parameterType(prepared: DuckDBPreparedStatement, index: number): string {
  return prepared.parameterTypeId(index) === 0 ? '' : String(prepared.parameterType(index));
}

function bind(prepared: DuckDBPreparedStatement, index: number, value: SqlParameter): void {
  if (typeof value === 'string') prepared.bindVarchar(index, value);
  else if (typeof value === 'bigint') prepared.bindBigInt(index, value);
  else if (typeof value === 'number') prepared.bindDouble(index, value);
  else if (typeof value === 'boolean') prepared.bindBoolean(index, value);
  else prepared.bindNull(index);
}

async function said<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const whole = cause instanceof Error ? cause.message : String(cause);
    const message = whole.replace(/^Failed to extract statements: /, '');
    if (/^INTERRUPT/i.test(message))
      throw new HotloopError('CANCELLED', 'the statement was cancelled', { cause });
    if (/^Out of Memory/i.test(message))
      throw new HotloopError('RESOURCE_EXHAUSTED', message, { reason: 'duckdb_memory', cause });
    throw new HotloopError('INVALID_ARGUMENT', message, { reason: 'duckdb', cause });
  }
}
