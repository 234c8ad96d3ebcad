import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { sqlName, sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { parseRfc3339 } from '@hotloop/proto/rfc3339.ts';
import { type PartContext, versionOf } from '../part-context.ts';
import { checkUnchanged } from '../read-source.ts';
import { writeRefusals } from '../refused-rows.ts';
import { columnsOf, slice } from '../source-rows.ts';
import { UNREADABLE } from '../text-source.ts';
import { writePart } from '../write-part.ts';
import { openAsOfAnswers } from './as-of-answers.ts';
import { frontDoorAnswers } from './front-door-answers.ts';
import type { RowAnswer, RowAnswers } from './row-answer.ts';
import { CANDIDATES, PREDICTION_ID, type RowColumns, rowColumnsOf, rowRequestOf } from './row-request.ts';

const ANSWER_COLUMNS = {
  row: 'BIGINT',
  prediction_id: 'VARCHAR',
  label: 'VARCHAR',
  score: 'DOUBLE',
  scores: 'DOUBLE[]',
  ranked: 'STRUCT(id VARCHAR, "rank" INTEGER, score DOUBLE, propensity DOUBLE)[]',
  degraded: 'VARCHAR[]',
} as const;

/** Rows with images that are in memory at once, as their files. */
const IMAGES_AT_ONCE = 32;

/** Answers the rows of one part one request at a time: by the front door, or with features as of a time. */
export async function answerPart(context: PartContext): Promise<void> {
  const { claim, connection, work, signal } = context;
  const { run } = claim;
  const files = run.plan?.files ?? [];
  await checkUnchanged(run.plan?.fingerprints ?? []);
  const { manifest } = await versionOf(context);
  const columns = await columnsOf(connection, files);
  const names = columns.map(({ name }) => name);
  const wanted = rowColumnsOf(manifest, names);
  const isInput = (name: string) =>
    (wanted.request.has(name) && manifest.pipeline === undefined) ||
    name === PREDICTION_ID ||
    (wanted.candidates && name === CANDIDATES);
  const kept = run.options.keep ?? names.filter((name) => !isInput(name));
  await using answers = await openAnswers(context);
  await connection.run(
    `CREATE TEMP TABLE source_rows AS SELECT * FROM ${await slice(connection, files, claim.firstRow, claim.endRow)}`,
  );
  const path = join(work, `answers-${claim.part}.${claim.token}.jsonl`);
  try {
    const refusals = await answerRows(context, answers, wanted, names, path);
    await checkUnchanged(run.plan?.fingerprints ?? []);
    signal.throwIfAborted();
    const list = Object.entries(ANSWER_COLUMNS).map(([name, type]) => `${sqlName(name)}: ${sqlText(type)}`);
    const keep = kept.map((name) => `s.${sqlName(name)}, `).join('');
    const given = outputColumns(manifest.task, run.plan?.mode === 'front-door').map(
      (name) => `a.${sqlName(name)}`,
    );
    await writePart(
      context,
      `SELECT a."row", ${keep}${given.join(', ')}, ${sqlText(run.model)} AS model, ${run.version} AS version
       FROM read_json(${sqlText(path)}, format = 'newline_delimited', columns = {${list.join(', ')}}) a
       JOIN source_rows s ON s."row" = a."row" ORDER BY a."row"`,
      () => writeRefusals(refusals, { work, part: claim.part, token: claim.token }),
    );
  } finally {
    await rm(path, { force: true });
  }
}

async function openAnswers(context: PartContext): Promise<RowAnswers> {
  const { claim, dependencies } = context;
  if (claim.run.plan?.mode === 'as-of')
    return openAsOfAnswers(claim.run, dependencies, await versionOf(context));
  if (dependencies.frontDoor === undefined)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${claim.run.model} is answered by the front door here; set HOTLOOP_FRONT_DOOR of the batch worker`,
      { reason: 'no_front_door' },
    );
  return frontDoorAnswers(claim.run, dependencies.frontDoor, Date.now);
}

/** Writes the accepted answers as JSON lines. @returns the refused ones. */
async function answerRows(
  { claim, connection, signal }: PartContext,
  answers: RowAnswers,
  wanted: RowColumns,
  names: readonly string[],
  path: string,
): Promise<{ row: number; reason: string }[]> {
  const out = createWriteStream(path);
  const refusals: { row: number; reason: string }[] = [];
  try {
    const read = [
      ...wanted.request.keys(),
      ...wanted.entities,
      ...(wanted.candidates ? [CANDIDATES] : []),
      PREDICTION_ID,
    ];
    const columns = [...new Set(read)]
      .filter((name) => names.includes(name))
      .map((name) => `, ${sqlName(name)}`);
    const asOf = asOfExpression(claim.run.options.as_of, names);
    const atOnce = wanted.images ? Math.min(answers.rowsAtOnce, IMAGES_AT_ONCE) : answers.rowsAtOnce;
    for (let from = claim.firstRow; from < claim.endRow; from += atOnce) {
      signal.throwIfAborted();
      const found = await connection.rows(
        `SELECT "row", ${asOf} AS "time of row", ${sqlName(UNREADABLE)}${columns.join('')} FROM source_rows
         WHERE "row" >= ${from} AND "row" < ${from + atOnce} ORDER BY "row"`,
      );
      const rows = found.filter((row) => row[UNREADABLE] === null);
      for (const row of found)
        if (row[UNREADABLE] !== null)
          refusals.push({ row: Number(row.row), reason: String(row[UNREADABLE]) });
      const requests = rows.map((row) => rowRequestOf(row, wanted));
      const times = rows.map((row) =>
        row['time of row'] === null ? Number.NaN : Number(row['time of row']),
      );
      for (const answer of await answers.answer(requests, times, signal)) {
        if (answer.refused !== undefined) refusals.push({ row: answer.row, reason: answer.refused });
        else if (!out.write(lineOf(answer))) await once(out, 'drain');
      }
    }
  } finally {
    out.end();
    await finished(out);
  }
  return refusals;
}

function lineOf({ row, decision, predictionId, degraded }: RowAnswer): string {
  const { label, score, scores, ranked } = decision ?? {
    label: '',
    score: Number.NaN,
    scores: [],
    ranked: [],
  };
  return `${JSON.stringify({ row, prediction_id: predictionId ?? null, label, score, scores, ranked, degraded: degraded ?? [] })}\n`;
}

/** Milliseconds since 1970: of the time that was asked for, or of the column that it names. */
function asOfExpression(asOf: string | undefined, names: readonly string[]): string {
  if (asOf === undefined) return 'NULL';
  const fixed = parseRfc3339(asOf);
  if (fixed !== null) return String(fixed);
  if (names.includes(asOf)) return `epoch_ms(TRY_CAST(${sqlName(asOf)} AS TIMESTAMPTZ))`;
  throw new HotloopError(
    'INVALID_ARGUMENT',
    `as_of ${asOf} is neither a time such as 2026-05-01T00:00:00Z nor a column of the source`,
    { reason: 'bad_as_of' },
  );
}

function outputColumns(task: string, isLogged: boolean): string[] {
  const labelled = task === 'binary' || task === 'multiclass' || task === 'multilabel';
  return [
    ...(isLogged ? ['prediction_id'] : []),
    ...(labelled ? ['label'] : []),
    'score',
    ...(task === 'multiclass' || task === 'multilabel' ? ['scores'] : []),
    ...(task === 'ranking' ? ['ranked'] : []),
    ...(isLogged ? ['degraded'] : []),
  ];
}
