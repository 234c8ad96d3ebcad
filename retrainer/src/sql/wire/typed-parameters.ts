import type { SqlParameter } from '@hotloop/platform/duckdb/sql-database.ts';
import { scanSql } from '../sql-scan.ts';
import { WireError } from './wire-error.ts';

const NUMERIC = /^(TINYINT|SMALLINT|INTEGER|BIGINT|FLOAT|DOUBLE|U\w*INT\w*|HUGEINT|DECIMAL.*)$/;

/** Postgres' type numbers (OIDs) of int2, int4, int8, oid; float4, float8, numeric; bool. */
export function typedParameter(text: string, oid: number, wanted: string): SqlParameter {
  if ([20, 21, 23, 26].includes(oid)) return BigInt(text);
  if ([700, 701, 1700].includes(oid)) return Number(text);
  if (oid === 16) return text === 't' || text === 'true';
  if (oid === 0 && NUMERIC.test(wanted)) {
    if (text.trim() === '' || Number.isNaN(Number(text)))
      throw new WireError({
        code: '22P02',
        message: `invalid input syntax for a number: "${text.slice(0, 60)}"`,
      });
    return /^-?\d{1,18}$/.test(text) ? BigInt(text) : Number(text);
  }
  return text;
}

const CASTS: Readonly<Record<number, string>> = {
  16: 'BOOLEAN',
  20: 'BIGINT',
  21: 'SMALLINT',
  23: 'INTEGER',
  700: 'FLOAT',
  701: 'DOUBLE',
  1700: 'DOUBLE',
};

/** Replaces each parameter by a NULL of its declared type, or of text. The resulting statement has the same columns. */
export function withNulls(sql: string, oids: readonly number[]): string {
  let text = sql;
  const tokens = scanSql(sql);
  for (const [at, token] of [...tokens.entries()].reverse()) {
    const dollar = tokens[at - 1];
    if (token.kind !== 'number' || dollar?.text !== '$' || dollar.end !== token.start) continue;
    const index = Number(token.text) - 1;
    const type = CASTS[oids[index] ?? 0] ?? 'VARCHAR';
    text = `${text.slice(0, dollar.start)}CAST(NULL AS ${type})${text.slice(token.end)}`;
  }
  return text;
}

/** The command tag of a finished statement, with the number of changed rows. */
export function commandTag(sql: string, changed: number): string {
  const [first = '', second = ''] = sql.trim().toUpperCase().split(/\s+/);
  if (first === 'INSERT') return `INSERT 0 ${changed}`;
  if (first === 'UPDATE' || first === 'DELETE' || first === 'COPY') return `${first} ${changed}`;
  if (
    first === 'CREATE' &&
    / AS\s+(SELECT|WITH|FROM|VALUES)/i.test(sql) &&
    !/^\s*CREATE\s+(OR\s+REPLACE\s+)?VIEW/i.test(sql)
  )
    return `SELECT ${changed}`;
  return `${first} ${second.replace(/\W/g, '')}`.trim();
}
