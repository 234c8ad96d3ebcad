import { sqlName, sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import type { SqlDatabase } from '@hotloop/platform/duckdb/sql-database.ts';
import type { VersionScorer } from '../scoring/version-scorer.ts';
import { type PartContext, versionOf } from './part-context.ts';
import { checkUnchanged } from './read-source.ts';
import { writeRefused } from './refused-rows.ts';
import { columnOfInput, inputExpression } from './source-columns.ts';
import { columnsOf, slice } from './source-rows.ts';
import { UNREADABLE } from './text-source.ts';
import { writePart } from './write-part.ts';

/** A name that no column of a source should have. */
const ANSWER = '"answer of the model"';

/** Answers the rows of one part by the fused file, whole columns at a time. */
export async function scoreColumns(context: PartContext): Promise<void> {
  const { claim, dependencies, database, connection, work } = context;
  const { run } = claim;
  const files = run.plan?.files ?? [];
  await checkUnchanged(run.plan?.fingerprints ?? []);
  const scorer = await dependencies.scorers.of(await versionOf(context));
  const columns = await columnsOf(connection, files);
  const types = new Map(columns.map(({ name, type }) => [name, type]));
  await registerAnswer(database, scorer);
  const accepted = `(${acceptedOf(scorer)} AND ${sqlName(UNREADABLE)} IS NULL)`;
  const inputs = new Set(scorer.inputs.map(columnOfInput));
  const kept = run.options.keep ?? columns.map(({ name }) => name).filter((name) => !inputs.has(name));
  const given = scorer.inputs.map((input) => inputExpression(input, (name) => types.get(name))).join(', ');
  const keep = kept.map((name) => `${sqlName(name)}, `).join('');
  const answered = `SELECT *, answer(${given}) AS ${ANSWER} FROM ${await slice(connection, files, claim.firstRow, claim.endRow)}`;
  await writePart(
    context,
    `SELECT "row", ${keep}${outputColumns(scorer).join(', ')}, ${sqlText(run.model)} AS model, ${run.version} AS version
     FROM (${answered}) WHERE ${accepted}`,
    () =>
      writeRefused(
        connection,
        scorer,
        `SELECT * FROM (${answered}) WHERE NOT ${accepted}`,
        new Set(types.keys()),
        {
          work,
          part: claim.part,
          token: claim.token,
        },
      ),
  );
}

/**
 * `answer(inputs...)`: for several classes [accepted, score, index of the label, scores...]; otherwise the score alone, NaN where the row is
 * refused, which is much faster to hand over.
 */
async function registerAnswer(database: SqlDatabase, scorer: VersionScorer): Promise<void> {
  const labels = labelsOf(scorer);
  // Once: the filter of refused rows would otherwise run the model a second time for every row.
  const common = { name: 'answer', parameters: scorer.parameters, once: true } as const;
  if (!isList(scorer))
    return database.register({
      ...common,
      returns: 'float64',
      run: (columns, rows) => scorer.score(columns, rows),
    });
  await database.register({
    ...common,
    returns: 'float64[]',
    run(columns, rows) {
      const { accepted, score, label, scores } = scorer.answer(columns, rows);
      const width = scores === undefined ? 0 : scores.length / rows;
      return Array.from({ length: rows }, (_, row) => [
        accepted[row] as number,
        score[row] as number,
        label === undefined ? -1 : labels.indexOf(label[row] ?? ''),
        ...(scores?.subarray(row * width, (row + 1) * width) ?? []),
      ]);
    },
  });
}

function isList({ manifest }: VersionScorer): boolean {
  return manifest.task === 'multiclass' || manifest.task === 'multilabel';
}

/** SQL that says whether a row of `answered` was accepted. */
function acceptedOf(scorer: VersionScorer): string {
  return isList(scorer) ? `(${ANSWER}[1] = 1)` : `(NOT isnan(${ANSWER}))`;
}

function labelsOf({ manifest }: VersionScorer): readonly string[] {
  if (manifest.task === 'binary') return manifest.decision.labels ?? ['0', '1'];
  return manifest.decision.labels ?? [];
}

function outputColumns(scorer: VersionScorer): string[] {
  const labels = labelsOf(scorer).map(sqlText);
  const { task, decision } = scorer.manifest;
  if (task === 'multiclass')
    return [
      `[${labels.join(', ')}][CAST(${ANSWER}[3] AS INTEGER) + 1] AS label`,
      `${ANSWER}[2] AS score`,
      `${ANSWER}[4:] AS scores`,
    ];
  if (task === 'multilabel')
    return [
      `array_to_string(list_filter([${labels.join(', ')}], lambda l, i: ${ANSWER}[3 + i] >= ${decision.threshold}), ',') AS label`,
      `${ANSWER}[2] AS score`,
      `${ANSWER}[4:] AS scores`,
    ];
  if (task !== 'binary') return [`${ANSWER} AS score`];
  // The comparison of the decision, on the same number.
  const label = `CASE WHEN ${ANSWER} < CAST(${decision.threshold} AS DOUBLE) THEN ${labels[0]} ELSE ${labels[1]} END`;
  return [`${label} AS label`, `${ANSWER} AS score`];
}
