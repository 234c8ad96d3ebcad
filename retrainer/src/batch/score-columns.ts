import { sqlName, sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import type { SqlDatabase } from '@hotloop/platform/duckdb/sql-database.ts';
import { openVersionScorer, type VersionScorer } from '../scoring/version-scorer.ts';
import { type PartContext, versionOf } from './part-context.ts';
import { checkUnchanged } from './read-source.ts';
import { writeRefused } from './refused-rows.ts';
import { columnOfInput, inputExpression } from './source-columns.ts';
import { columnsOf, slice } from './source-rows.ts';
import { writePart } from './write-part.ts';

/** Answers the rows of one part by the fused file, whole columns at a time. */
export async function scoreColumns(context: PartContext): Promise<void> {
  const { claim, dependencies, database, connection, work } = context;
  const { run } = claim;
  const files = run.plan?.files ?? [];
  await checkUnchanged(run.plan?.fingerprints ?? []);
  using scorer = await openVersionScorer(dependencies.bundles, await versionOf(context));
  const columns = await columnsOf(connection, files);
  const names = new Set(columns.map(({ name }) => name));
  await registerAnswer(database, scorer);
  const inputs = new Set(scorer.inputs.map(columnOfInput));
  const kept = run.options.keep ?? columns.map(({ name }) => name).filter((name) => !inputs.has(name));
  const given = scorer.inputs.map((input) => inputExpression(input, (name) => names.has(name))).join(', ');
  const keep = kept.map((name) => `${sqlName(name)}, `).join('');
  const source = `SELECT *, row_number() OVER () - 1 + ${claim.firstRow} AS "row"
     FROM ${await slice(connection, files, claim.firstRow, claim.endRow)}`;
  await connection.run(
    `CREATE TEMP TABLE answered AS SELECT "row", ${keep}answer(${given}) AS answer FROM (${source})`,
  );
  const [found] = await connection.rows(
    'SELECT count(*) FILTER (WHERE answer[1] = 1) AS accepted, count(*) FILTER (WHERE answer[1] = 0) AS refused FROM answered',
  );
  const counts = { accepted: Number(found?.accepted ?? 0), refused: Number(found?.refused ?? 0) };
  await writePart(
    context,
    `SELECT "row", ${keep}${outputColumns(scorer).join(', ')}, ${sqlText(run.model)} AS model, ${run.version} AS version
     FROM answered WHERE answer[1] = 1 ORDER BY "row"`,
    counts,
    () =>
      writeRefused(
        connection,
        scorer,
        `SELECT s.* FROM (${source}) s SEMI JOIN answered a ON s."row" = a."row" AND a.answer[1] = 0`,
        names,
        { work, part: claim.part, token: claim.token },
      ),
  );
}

/** `answer(inputs...)` gives [accepted, score, index of the label, scores...]: one call for all that is known of a row. */
async function registerAnswer(database: SqlDatabase, scorer: VersionScorer): Promise<void> {
  const labels = labelsOf(scorer);
  await database.register({
    name: 'answer',
    parameters: scorer.inputs.map(({ type }) => type),
    returns: 'float64[]',
    run(columns, rows) {
      const { accepted, score, label, scores } = scorer.score(columns, rows);
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

function labelsOf({ manifest }: VersionScorer): readonly string[] {
  if (manifest.task === 'binary') return manifest.decision.labels ?? ['0', '1'];
  return manifest.decision.labels ?? [];
}

function outputColumns(scorer: VersionScorer): string[] {
  const labels = labelsOf(scorer);
  const list = `[${labels.map(sqlText).join(', ')}]`;
  return [
    ...(scorer.manifest.task === 'binary' || scorer.manifest.task === 'multiclass'
      ? [`${list}[CAST(answer[3] AS INTEGER) + 1] AS label`]
      : []),
    'answer[2] AS score',
    ...(scorer.manifest.task === 'multiclass' ? [`answer[4:] AS scores`] : []),
  ];
}
