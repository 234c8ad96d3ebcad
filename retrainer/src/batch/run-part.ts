import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sqlName, sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import {
  openSqlDatabase,
  type SqlConnection,
  type SqlDatabase,
} from '@hotloop/platform/duckdb/sql-database.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { openVersionScorer, type VersionScorer } from '../scoring/version-scorer.ts';
import { type AllowedFiles, checkAllowed } from './allowed-files.ts';
import { type BatchClaim, FINISH, PLANNING } from './batch-run.ts';
import { batchProgress, endBatch, endPlanning, endRows, partDigests } from './batch-store.ts';
import { checkUnchanged, type DatabaseAddresses, readSource } from './read-source.ts';
import { gatherRefused, writeRefused } from './refused-rows.ts';
import { checkSink, copyOptions, makePartsFolder, partName, publish, sinkFormat } from './sink.ts';
import { checkColumns, columnOfInput, inputExpression } from './source-columns.ts';

export interface PartDependencies {
  readonly pool: Pool;
  readonly registry: RegistryReader;
  readonly bundles: BundleStore;
  readonly databases: DatabaseAddresses;
}

export interface PartOptions {
  readonly files: AllowedFiles;
  /** Folder that all workers share, for what is staged. */
  readonly folder: string;
  readonly memoryMb: number;
  readonly threads: number;
}

/** Does one claimed piece of work: the planning, one part of the rows, or the finish. Throws what stands in its way. */
export async function runPart(
  claim: BatchClaim,
  dependencies: PartDependencies,
  options: PartOptions,
  signal: AbortSignal,
): Promise<void> {
  await checkAllowed(claim.run.source, options.files);
  await checkAllowed(claim.run.sink, options.files);
  const { memoryMb, threads } = options;
  await using database = await openSqlDatabase({ memoryMb, threads, files: true });
  using connection = await database.connect();
  const stop = () => connection.interrupt();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const work = join(options.folder, claim.run.runId);
    const context = { claim, dependencies, database, connection, work, signal };
    if (claim.part === PLANNING) await plan(context);
    else if (claim.part === FINISH) await finish(context);
    else await scoreRows(context);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

interface PartContext {
  readonly claim: BatchClaim;
  readonly dependencies: PartDependencies;
  readonly database: SqlDatabase;
  readonly connection: SqlConnection;
  readonly work: string;
  readonly signal: AbortSignal;
}

/** Checks the sink, makes the source readable in parts, holds its columns to the model, counts its rows. */
async function plan({ claim, dependencies, connection, work, signal }: PartContext): Promise<void> {
  const { run } = claim;
  await checkSink(run);
  using scorer = await scorerOf(claim, dependencies);
  const source = await readSource(
    run.source,
    work,
    scorer.inputs,
    connection,
    dependencies.databases,
    signal,
  );
  const columns = await columnsOf(connection, source.files);
  checkColumns(run.model, scorer.inputs, columns);
  for (const name of run.options.keep ?? [])
    if (!columns.some((column) => column.name === name))
      throw new HotloopError('INVALID_ARGUMENT', `the source has no column ${name} to keep`, {
        reason: 'schema_mismatch',
      });
  const [count] = await connection.rows(`SELECT count(*) AS n FROM ${parquet(source.files)}`);
  const rows = Number(count?.n ?? 0);
  await makePartsFolder(run, work);
  await endPlanning(
    dependencies.pool,
    claim,
    { files: source.files, fingerprints: source.fingerprints, rows },
    source.datasetSha256,
    run.options.part_rows,
  );
}

/** Answers the rows of one part, and writes them to one file, complete or not at all. */
async function scoreRows({ claim, dependencies, database, connection, work }: PartContext): Promise<void> {
  const { run } = claim;
  const files = run.plan?.files ?? [];
  const fingerprints = run.plan?.fingerprints ?? [];
  await checkUnchanged(fingerprints);
  using scorer = await scorerOf(claim, dependencies);
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
  const format = sinkFormat(run);
  const folder = await makePartsFolder(run, work);
  const path = join(folder, partName(claim.part, format));
  const temporary = `${path}.${claim.token}.tmp`;
  const outputs = outputColumns(scorer).join(', ');
  try {
    await connection.run(
      `COPY (SELECT "row", ${keep}${outputs}, ${sqlText(run.model)} AS model, ${run.version} AS version
             FROM answered WHERE answer[1] = 1 ORDER BY "row") TO ${sqlText(temporary)} (${copyOptions(format)})`,
    );
    await checkUnchanged(fingerprints);
    const [counts] = await connection.rows(
      'SELECT count(*) FILTER (WHERE answer[1] = 1) AS accepted, count(*) FILTER (WHERE answer[1] = 0) AS refused FROM answered',
    );
    const refused = Number(counts?.refused ?? 0);
    if (refused > 0)
      await writeRefused(
        connection,
        scorer,
        `SELECT s.* FROM (${source}) s SEMI JOIN answered a ON s."row" = a."row" AND a.answer[1] = 0`,
        names,
        { work, part: claim.part, token: claim.token },
      );
    const sha256 = await digestOf(temporary);
    await rename(temporary, path);
    await endRows(dependencies.pool, claim, { accepted: Number(counts?.accepted ?? 0), refused, sha256 });
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Puts the parts in their place, with a report of what they are. */
async function finish({ claim, dependencies, connection, work }: PartContext): Promise<void> {
  const { run } = claim;
  const { pool } = dependencies;
  const progress = await batchProgress(pool, run.runId);
  const format = sinkFormat(run);
  const parts = Array.from({ length: progress.parts }, (_, part) => partName(part, format));
  const report = {
    run_id: run.runId,
    model: run.model,
    version: run.version,
    dataset_sha256: run.datasetSha256,
    rows: run.rows,
    accepted: progress.accepted,
    refused: progress.refused,
    parts_sha256: await partDigests(pool, run.runId),
  };
  const refusedFile = join(work, 'refused.jsonl');
  const told = (await gatherRefused(work, progress.parts, refusedFile)) ? refusedFile : undefined;
  await publish(run, parts, { work, connection, report, refused: told });
  await rm(work, { recursive: true, force: true });
  const refused = progress.refused === 0 ? '' : `, ${progress.refused} refused`;
  await endBatch(pool, claim, `${progress.accepted} rows${refused}`);
}

async function scorerOf(
  { run }: BatchClaim,
  { registry, bundles }: PartDependencies,
): Promise<VersionScorer> {
  const find = () => registry.current().models.get(run.model)?.versions.get(run.version);
  if (!find()) await registry.refresh();
  const record = find();
  if (!record) throw new HotloopError('NOT_FOUND', `model ${run.model} has no version ${run.version}`);
  return openVersionScorer(bundles, record);
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

async function columnsOf(connection: SqlConnection, files: readonly string[]) {
  const described = await connection.rows(`DESCRIBE SELECT * FROM ${parquet(files)}`);
  return described.map((row) => ({ name: String(row.column_name), type: String(row.column_type) }));
}

function parquet(files: readonly string[], more = ''): string {
  return `read_parquet([${files.map(sqlText).join(', ')}], union_by_name = true${more})`;
}

/** The rows first <= row < end over all files in order. Row groups outside are not read. */
async function slice(
  connection: SqlConnection,
  files: readonly string[],
  first: number,
  end: number,
): Promise<string> {
  const pieces: string[] = [];
  let before = 0;
  for (const file of files) {
    const rows = await rowsOf(connection, file);
    const [low, high] = [Math.max(0, first - before), Math.min(rows, end - before)];
    if (low < high)
      pieces.push(
        `SELECT * EXCLUDE (file_row_number) FROM ${parquet([file], ', file_row_number = true')}
         WHERE file_row_number >= ${low} AND file_row_number < ${high}`,
      );
    before += rows;
  }
  if (pieces.length === 0) return `(SELECT * FROM ${parquet(files)} LIMIT 0)`;
  return `(${pieces.join(' UNION ALL BY NAME ')})`;
}

async function rowsOf(connection: SqlConnection, file: string): Promise<number> {
  const [row] = await connection.rows(`SELECT num_rows AS n FROM parquet_file_metadata(${sqlText(file)})`);
  return Number(row?.n ?? 0);
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path)) hash.update(bytes as Buffer);
  return hash.digest('hex');
}
