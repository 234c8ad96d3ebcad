import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import type { FusedInput } from '@hotloop/model/fused/fused-input.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import { sqlName, sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import { type PlainColumn, plainColumn } from '@hotloop/platform/duckdb/read-column.ts';
import type { ColumnData, SqlColumn, SqlDatabase } from '@hotloop/platform/duckdb/sql-database.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { resolveVersion } from '@hotloop/platform/registry/resolve-version.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import { columnOfInput } from '../batch/source-columns.ts';
import { openVersionScorer, parameterExpression, type VersionScorer } from '../scoring/version-scorer.ts';
import { literalOf, scanSql } from './sql-scan.ts';

/** Explains how a row becomes the model's columns: the features as JSON. */
const EXPLAIN = 'explain';

/** A result column without an alias is named by its function, as in Postgres, not by the rewritten call. */
export function shownColumn(column: SqlColumn): SqlColumn {
  const [, name] =
    /^"?(predict|predict_label|predict_proba|explain|version)"?(?::[^"]*")?\(/.exec(column.name) ?? [];
  return name === undefined ? column : { ...column, name };
}

/** Return type of each function. Refused rows give NULL. */
const FUNCTIONS = ['predict', 'predict_label', 'predict_proba'] as const;
type PredictFunction = (typeof FUNCTIONS)[number];
const RETURNS = { predict: 'float64', predict_label: 'string', predict_proba: 'float64[]' } as const;

export interface PredictFunctions {
  /** Loads the versions that a statement names. Throws NOT_FOUND for a model or version that does not exist. */
  prepare(sql: string): Promise<void>;
  /**
   * The statement with each predict('model', row) replaced by the function of that version over the columns it needs: whole
   * columns then reach the model without JSON. Returns the same text if there is nothing to replace.
   */
  fast(sql: string): string;
}

/**
 * Adds `predict(model, row)` (the score), `predict_label` and `predict_proba` to a database. The model is a name, or
 * NAME@VERSION with a number or label; the row is a struct, a table's alias, or JSON.
 */
export async function addPredictFunctions(
  database: SqlDatabase,
  registry: RegistryReader,
  bundles: BundleStore,
): Promise<PredictFunctions> {
  const scorers = new Map<string, VersionScorer>();
  const loaded = (name: string): VersionScorer => {
    const { record } = resolve(registry, name);
    const scorer = scorers.get(`${record.model}@${record.version}`);
    if (scorer) return scorer;
    throw new HotloopError('UNAVAILABLE', `load ${name}`, { reason: 'not_loaded' });
  };
  for (const name of FUNCTIONS)
    await database.register({
      name: `${name}_json`,
      parameters: ['string', 'string'],
      returns: RETURNS[name],
      run: ([models, rows], count) => scoreJson(name, plainColumn(models), plainColumn(rows), count, loaded),
    });
  await database.register({
    name: `${EXPLAIN}_json`,
    parameters: ['string', 'string'],
    returns: 'string',
    run([first, second], count) {
      const [models, rows] = [plainColumn(first), plainColumn(second)];
      return Array.from({ length: count }, (_, row) =>
        rows[row] === null || models[row] === null
          ? null
          : explainJson(loaded(String(models[row])), parseRow(String(rows[row]))),
      );
    },
  });
  using connection = await database.connect();
  for (const name of [...FUNCTIONS, EXPLAIN])
    await connection.run(
      `CREATE OR REPLACE MACRO ${name}(model, r) AS ${name}_json(model, CAST(to_json(r) AS VARCHAR))`,
    );

  async function load(name: string): Promise<void> {
    await registry.refresh();
    const { record } = resolve(registry, name);
    const key = `${record.model}@${record.version}`;
    if (scorers.has(key)) return;
    const scorer = await openVersionScorer(bundles, record);
    if (scorers.has(key)) return scorer[Symbol.dispose]();
    scorers.set(key, scorer);
    for (const fn of FUNCTIONS) await registerFast(database, fn, key, scorer);
  }

  return {
    async prepare(sql) {
      for (const { model } of calls(sql)) if (model !== undefined) await load(model);
      if (calls(sql).some(({ model }) => model === undefined)) {
        await registry.refresh();
        const live = [...registry.current().models.values()].filter((each) => each.liveVersion !== null);
        for (const { name } of live) await load(name).catch(() => undefined);
      }
    },
    fast(sql) {
      let text = sql;
      for (const { fn, model, start, end } of calls(sql).reverse()) {
        if (model === undefined || fn === EXPLAIN) continue;
        const { record } = resolve(registry, model);
        text = `${text.slice(0, start)}${sqlName(`${fn}:${record.model}@${record.version}`)}(${text.slice(end)}`;
      }
      return text;
    },
  };
}

function resolve(registry: RegistryReader, name: string) {
  const at = name.indexOf('@');
  return at < 0
    ? resolveVersion(registry.current(), name, 'live')
    : resolveVersion(registry.current(), name.slice(0, at), name.slice(at + 1));
}

/** Creates a function over the columns of one version, and a macro that extracts them from a row. */
async function registerFast(
  database: SqlDatabase,
  fn: PredictFunction,
  key: string,
  scorer: VersionScorer,
): Promise<void> {
  const name = `${fn}:${key}`;
  await database.register({
    name: `${name} columns`,
    parameters: scorer.parameters,
    returns: RETURNS[fn],
    nanIsNull: true,
    run: (columns, rows) =>
      fn === 'predict' ? scorer.score(columns, rows) : answerOf(fn, scorer, columns, rows),
  });
  const values = scorer.inputs.map(fieldOf).join(', ');
  using connection = await database.connect();
  await connection.run(
    `CREATE OR REPLACE MACRO ${sqlName(name)}(r) AS ${sqlName(`${name} columns`)}(${values})`,
  );
}

/**
 * Extracts an input from a struct. JSON is handled by the general form, because its texts would include quotes. Texts and numbers are
 * not cast, so that a number in place of a text is refused, as at the front door.
 */
function fieldOf(input: FusedInput): string {
  const field = `struct_extract(r, ${sqlText(columnOfInput(input))})`;
  if (input.type === 'int8') return `CAST(CAST(${field} AS BOOLEAN) AS TINYINT)`;
  return input.type === 'float32' ? `CAST(${field} AS FLOAT)` : parameterExpression(input, field);
}

function answerOf(
  fn: PredictFunction,
  scorer: VersionScorer,
  columns: readonly ColumnData[],
  rows: number,
): (number | string | number[] | null)[] {
  const { accepted, score, label, scores } = scorer.answer(columns, rows);
  const width = scores === undefined ? 0 : scores.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    if (accepted[row] === 0) return null;
    if (fn === 'predict') return score[row] as number;
    if (fn === 'predict_label') return label?.[row] ?? null;
    if (scores) return [...scores.subarray(row * width, (row + 1) * width)];
    const one = score[row] as number;
    return scorer.manifest.task === 'binary' ? [1 - one, one] : [one];
  });
}

/** Scores rows given as JSON texts, for any models: grouped by model, so that each model runs once. */
function scoreJson(
  fn: PredictFunction,
  models: PlainColumn,
  rows: PlainColumn,
  count: number,
  loaded: (name: string) => VersionScorer,
): (number | string | number[] | null)[] {
  const answers = new Array<number | string | number[] | null>(count).fill(null);
  const groups = new Map<string, number[]>();
  for (let row = 0; row < count; row++) {
    const name = models[row];
    if (typeof name !== 'string' || rows[row] === null) continue;
    const group = groups.get(name);
    if (group) group.push(row);
    else groups.set(name, [row]);
  }
  for (const [name, at] of groups) {
    const scorer = loaded(name);
    const parsed = at.map((row) => parseRow(String(rows[row])));
    const columns = scorer.inputs.map((input) => {
      const column = columnOfInput(input);
      return parsed.map((row) => checked(input, row[column] ?? null, column));
    });
    const found = answerOf(fn, scorer, columns, at.length);
    for (const [index, row] of at.entries()) answers[row] = found[index] ?? null;
  }
  return answers;
}

function parseRow(text: string): Record<string, number | string | boolean | null> {
  let row: unknown;
  try {
    row = JSON.parse(text);
    // JSON text inside a JSON string: to_json was applied to JSON.
    if (typeof row === 'string') row = JSON.parse(row);
  } catch {
    row = undefined;
  }
  if (typeof row !== 'object' || row === null || Array.isArray(row))
    throw new HotloopError(
      'INVALID_ARGUMENT',
      'predict takes a row: a struct, a table alias or a JSON object',
    );
  return row as Record<string, number | string | boolean | null>;
}

function checked(
  { type }: VersionScorer['inputs'][number],
  value: number | string | boolean | null,
  column: string,
): number | string | boolean | null {
  const wanted = type === 'string' ? 'string' : type === 'bool' || type === 'int8' ? 'boolean' : 'number';
  if (value === null || typeof value === wanted) return value;
  throw new HotloopError(
    'INVALID_ARGUMENT',
    `${column} must be a ${wanted}, but ${JSON.stringify(value)?.slice(0, 60)} arrived`,
  );
}

/** The values, statuses and columns of each feature, or the reason why the front door would refuse the row, as JSON. */
function explainJson({ manifest }: VersionScorer, row: Readonly<Record<string, unknown>>): string {
  const request = Object.create(null) as Record<string, AttributeValue>;
  for (const [name, value] of Object.entries(row))
    if (value !== null) request[name] = value as AttributeValue;
  const nothing = Object.create(null) as Record<string, never>;
  try {
    const input = { request, entities: nothing, candidates: [] };
    return JSON.stringify(compileFeaturePlan(manifest).explain(input, null, 0));
  } catch (error) {
    const { code, message } = toHotloopError(error);
    return JSON.stringify({ refused: { code, message } });
  }
}

interface Call {
  readonly fn: PredictFunction | typeof EXPLAIN;
  /** Undefined if it is not a literal. */
  readonly model: string | undefined;
  /** Range from the function's name to just after the comma. */
  readonly start: number;
  readonly end: number;
}

/** Position of a call of a predict function in a statement. */
function calls(sql: string): Call[] {
  const tokens = scanSql(sql);
  return tokens.flatMap((token, index) => {
    const fn = [...FUNCTIONS, EXPLAIN as typeof EXPLAIN].find(
      (name) => token.kind === 'word' && token.text.toLowerCase() === name,
    );
    if (fn === undefined || tokens[index + 1]?.text !== '(') return [];
    const first = tokens[index + 2];
    const comma = tokens[index + 3];
    const isLiteral = first?.kind === 'text' && comma?.text === ',';
    return [
      {
        fn,
        model: isLiteral ? literalOf(first) : undefined,
        start: token.start,
        end: isLiteral ? comma.end : token.end,
      },
    ];
  });
}
