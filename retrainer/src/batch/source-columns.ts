import type { FusedInput } from '@hotloop/model/fused/fused-input.ts';
import type { SqlColumn } from '@hotloop/platform/duckdb/sql-database.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { parameterExpression } from '../scoring/version-scorer.ts';

const NUMERIC = /^(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT|U\w*INT\w*|FLOAT|DOUBLE|DECIMAL.*)$/;
/** Moments reach a model as the text that the front door would get. */
const MOMENT = /^(DATE|TIMESTAMP( WITH TIME ZONE|_NS|_MS|_S)?)$/;
/** Columns that an error names. */
const MOST_NAMED = 30;
const PREFIX = /^(request|item|entity)\./;

/** The column of a source that an input reads: `request.price` is in `price`; anything else has its own name. */
export function columnOfInput(input: FusedInput): string {
  return input.name.replace(PREFIX, '');
}

/**
 * Holds a source's columns to what the model takes, before any row is read. Throws INVALID_ARGUMENT that lists every
 * column that is missing or has another type.
 */
export function checkColumns(
  model: string,
  inputs: readonly FusedInput[],
  columns: readonly SqlColumn[],
): void {
  const problems: string[] = [];
  for (const input of inputs) {
    const name = columnOfInput(input);
    const column = columns.find((each) => each.name === name);
    if (column === undefined) {
      if (input.absent === undefined && input.why === undefined)
        problems.push(`${name} is missing and the model declares no missing value for it`);
      else if (input.absent === undefined) problems.push(`${name} is missing: ${input.why}`);
    } else if (!fits(input, column.type))
      problems.push(`${name} is ${column.type} where the model takes ${wordOf(input)}`);
  }
  if (problems.length > 0) throw schemaMismatch(model, problems, columns);
}

/** Lists what is wrong and the columns that there are, since a name is often only written differently. */
export function schemaMismatch(
  model: string,
  problems: readonly string[],
  columns: readonly SqlColumn[],
): HotloopError {
  const names = columns.slice(0, MOST_NAMED).map(({ name }) => name);
  const more = columns.length > MOST_NAMED ? `, and ${columns.length - MOST_NAMED} more` : '';
  return new HotloopError(
    'INVALID_ARGUMENT',
    `the source does not fit model ${model}: ${problems.join('; ')}. Its columns are ${names.join(', ')}${more}`,
    { reason: 'schema_mismatch' },
  );
}

function fits(input: FusedInput, type: string): boolean {
  if (type === '"NULL"' || type === 'NULL') return input.absent !== undefined;
  switch (input.type) {
    case 'float64':
    case 'float32':
      return NUMERIC.test(type);
    case 'string':
      return type === 'VARCHAR' || type.startsWith('ENUM') || MOMENT.test(type);
    case 'bool':
    case 'int8':
      return type === 'BOOLEAN';
  }
}

function wordOf(input: FusedInput): string {
  if (input.type === 'string') return 'a text';
  return input.type === 'bool' || input.type === 'int8' ? 'true or false' : 'a number';
}

/** The type that a text file's column is read as, so that a postcode such as 007 stays a text. */
export function readAs(input: FusedInput): string {
  if (input.type === 'string') return 'VARCHAR';
  return input.type === 'bool' || input.type === 'int8' ? 'BOOLEAN' : 'DOUBLE';
}

/**
 * The SQL expression that hands a column, or its absence, to a function with a scorer's parameters. @param typeOf the type of a column of the
 * source; undefined where there is none.
 */
export function inputExpression(input: FusedInput, typeOf: (column: string) => string | undefined): string {
  const name = columnOfInput(input);
  const type = typeOf(name);
  const value = type === undefined ? 'NULL' : `"${name.replaceAll('"', '""')}"`;
  switch (input.type) {
    case 'int8':
      return `CAST(CAST(${value} AS BOOLEAN) AS TINYINT)`;
    case 'string':
      return parameterExpression(
        input,
        type?.startsWith('TIMESTAMP') ? momentText(value, type) : `CAST(${value} AS VARCHAR)`,
      );
    default:
      return parameterExpression(input, `CAST(${value} AS ${SQL_TYPES[input.type]})`);
  }
}

const SQL_TYPES = { float64: 'DOUBLE', float32: 'FLOAT', bool: 'BOOLEAN' } as const;

function momentText(value: string, type: string): string {
  const utc = type.endsWith('ZONE') ? `${value} AT TIME ZONE 'UTC'` : `CAST(${value} AS TIMESTAMP)`;
  return `strftime(${utc}, '%Y-%m-%dT%H:%M:%S.%gZ')`;
}
