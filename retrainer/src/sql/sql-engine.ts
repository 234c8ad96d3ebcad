import type { SqlConnection, SqlDatabase, SqlStatement } from '@hotloop/platform/duckdb/sql-database.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import { type BatchOutputs, withBatchOutputs } from './batch-output.ts';
import { type CreateModelDependencies, createModelStatement, parseCreateModel } from './create-model.ts';
import { refuseChangingOurs } from './keep-tables.ts';
import { KEPT_TABLES, type LoopTables } from './loop-tables.ts';
import { catalogForm } from './postgres-catalog.ts';
import { type PredictFunctions, shownColumn } from './predict-functions.ts';
import { refuseChanging, refuseReading } from './predict-role.ts';
import { scanSql } from './sql-scan.ts';

/** Permissions and time limit of one session. */
export interface SqlRights {
  /** Allows reading the loop's tables, and creating tables. Without it only expressions such as predict(...) are allowed. */
  readonly mayReadTables: boolean;
}

export interface SqlEngine {
  readonly database: SqlDatabase;
  /**
   * Prepares a statement: refreshes the tables it names, loads the models, replaces predict calls by their fast form. Rejects
   * with the error of the original text.
   */
  prepare(
    connection: SqlConnection,
    sql: string,
    rights: SqlRights,
    signal: AbortSignal,
  ): Promise<SqlStatement>;
}

export function createSqlEngine(
  database: SqlDatabase,
  functions: PredictFunctions,
  tables: LoopTables,
  models: CreateModelDependencies,
  outputs: BatchOutputs,
): SqlEngine {
  return {
    database,
    async prepare(connection, given, rights, signal) {
      const create = parseCreateModel(given);
      if (create !== undefined) {
        if (!rights.mayReadTables)
          throw new HotloopError('PERMISSION_DENIED', 'CREATE MODEL needs a key with the role operate');
        await functions.prepare(create.select);
        await tables.refresh(create.select, signal);
        return createModelStatement(create, connection, models, signal);
      }
      refuseChangingOurs(given, KEPT_TABLES);
      const shaped = catalogForm(mlPredict(given));
      await functions.prepare(shaped);
      if (rights.mayReadTables) await tables.refresh(shaped, signal);
      else refuseReading(shaped, connection);
      const sql = rights.mayReadTables ? await withBatchOutputs(shaped, outputs) : shaped;
      const allowed = async (text: string) => {
        const statement = await connection.prepare(text);
        try {
          if (!rights.mayReadTables) refuseChanging(statement);
          return { ...statement, columns: statement.columns.map(shownColumn) };
        } catch (error) {
          statement[Symbol.dispose]();
          throw error;
        }
      };
      const fast = functions.fast(sql);
      if (fast !== sql) {
        try {
          return await allowed(fast);
        } catch (error) {
          // The row lacks one of the columns, or is JSON: the general form answers or reports the error.
          if (toHotloopError(error).reason !== 'duckdb') throw error;
        }
      }
      return allowed(sql);
    },
  };
}

/** BigQuery's `ML.PREDICT(MODEL name, TABLE t | (SELECT ...))` after FROM: all columns, predicted_score and predicted_label. */
function mlPredict(sql: string): string {
  const tokens = scanSql(sql);
  for (const [index, token] of tokens.entries()) {
    const words = tokens.slice(index, index + 5).map(({ text }) => text.toUpperCase());
    if (words.join(' ') !== 'ML . PREDICT ( MODEL') continue;
    const comma = tokens.findIndex((each, at) => at > index + 5 && each.text === ',');
    if (comma < 0) return sql;
    const model = tokens
      .slice(index + 5, comma)
      .map(({ text }) => text)
      .join('')
      .replaceAll(/["`]/g, '');
    const close = closing(tokens, index + 3);
    if (close < 0) return sql;
    const source = sql.slice(tokens[comma]?.end, tokens[close]?.start).replace(/^\s*TABLE\s+/i, '');
    const literal = `'${model.replaceAll("'", "''")}'`;
    const select = `(SELECT t.*, predict(${literal}, t) AS predicted_score, predict_label(${literal}, t) AS predicted_label FROM ${source} AS t)`;
    return mlPredict(sql.slice(0, token.start) + select + sql.slice(tokens[close]?.end));
  }
  return sql;
}

/** Index of the closing parenthesis for the one at `open`. */
function closing(tokens: readonly { readonly text: string }[], open: number): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at++) {
    if (tokens[at]?.text === '(') depth++;
    if (tokens[at]?.text === ')' && --depth === 0) return at;
  }
  return -1;
}
