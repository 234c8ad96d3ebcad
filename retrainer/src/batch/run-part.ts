import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { SqlColumn } from '@hotloop/platform/duckdb/sql-database.ts';
import { openSqlDatabase } from '@hotloop/platform/duckdb/sql-database.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { VersionScorer } from '../scoring/version-scorer.ts';
import { type AllowedFiles, checkAllowed } from './allowed-files.ts';
import { type BatchClaim, type BatchMode, type BatchRun, FINISH, PLANNING } from './batch-run.ts';
import { batchProgress, endBatch, endPlanning, partDigests } from './batch-store.ts';
import { type PartContext, type PartDependencies, versionOf } from './part-context.ts';
import { checkUnchanged, readSource } from './read-source.ts';
import { gatherRefused } from './refused-rows.ts';
import { answerPart } from './rows/answer-part.ts';
import { CANDIDATES, checkRowColumns, rowColumnsOf } from './rows/row-request.ts';
import { scoreColumns } from './score-columns.ts';
import { checkSink, makePartsFolder, partName, publish, sinkFormat } from './sink.ts';
import { checkColumns, columnOfInput, readAs } from './source-columns.ts';
import { sourceProblem } from './source-problem.ts';
import { columnsOf, parquet } from './source-rows.ts';

export type { PartDependencies } from './part-context.ts';

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
    else if (claim.run.plan?.mode === 'fused') await scoreColumns(context);
    else await answerPart(context);
  } catch (error) {
    // A source that changes meanwhile can fail in any way; that it changed is what there is to say.
    await checkUnchanged(claim.run.plan?.fingerprints ?? []);
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Checks the sink, makes the source readable in parts, holds its columns to the model, counts its rows. */
async function plan(context: PartContext): Promise<void> {
  const { claim, dependencies, connection, work, signal } = context;
  const { run } = claim;
  await checkSink(run, dependencies);
  const record = await versionOf(context);
  const scorer = await scorerOf(record.manifest, () => dependencies.scorers.of(record));
  const types = typesOf(record.manifest, scorer?.inputs ?? []);
  const source = await readSource(run.source, work, types, connection, dependencies, signal);
  const columns = await columnsOf(connection, source.files).catch((error: unknown) => {
    throw sourceProblem(error);
  });
  const mode = modeOf(run, record.manifest, scorer, columns);
  if (mode === 'fused' && scorer) checkColumns(run.model, scorer.inputs, columns);
  else checkRowColumns(run.model, rowColumnsOf(record.manifest), columns);
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
    { mode, files: source.files, fingerprints: source.fingerprints, rows },
    source.datasetSha256,
    run.options.part_rows,
  );
}

/** The version as one file; undefined where it cannot be one. */
async function scorerOf(
  manifest: Manifest,
  open: () => Promise<VersionScorer>,
): Promise<VersionScorer | undefined> {
  if (manifest.task === 'tensor')
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name} has task tensor and no features, so rows of a table do not become its input`,
      { reason: 'no_features' },
    );
  try {
    return await open();
  } catch (error) {
    if (toHotloopError(error).reason === 'not_fusable') return undefined;
    throw error;
  }
}

/** Rows go through the fused file where it can answer them alone; what must be read or logged goes through the front door. */
function modeOf(
  { options }: BatchRun,
  { task }: Manifest,
  scorer: VersionScorer | undefined,
  columns: readonly SqlColumn[],
): BatchMode {
  if (options.as_of !== undefined && options.log)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      'what is computed as of another time is not logged as served: say --as-of or --log, not both',
      { reason: 'bad_as_of' },
    );
  if (options.as_of !== undefined) return 'as-of';
  const has = (name: string) => columns.some((column) => column.name === name);
  if (options.log || scorer === undefined) return 'front-door';
  if (task === 'ranking' && has(CANDIDATES)) return 'front-door';
  const isRead = scorer.inputs.some((input) => input.why !== undefined && !has(columnOfInput(input)));
  return isRead ? 'front-door' : 'fused';
}

function typesOf(manifest: Manifest, inputs: VersionScorer['inputs']): Record<string, string> {
  const types: Record<string, string> = {};
  const rows = rowColumnsOf(manifest);
  for (const [name, { type }] of rows.request) if (type !== '') types[name] = type;
  for (const entity of rows.entities) types[entity] = 'VARCHAR';
  for (const input of inputs) types[columnOfInput(input)] = readAs(input);
  return types;
}

/** Puts the parts in their place, with a report of what they are. */
async function finish({ claim, dependencies, connection, work, signal }: PartContext): Promise<void> {
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
    features: run.plan?.mode === 'as-of' ? `as of ${run.options.as_of}` : 'as at the front door',
    parts_sha256: await partDigests(pool, run.runId),
  };
  const refusedFile = join(work, 'refused.jsonl');
  const told = (await gatherRefused(work, progress.parts, refusedFile)) ? refusedFile : undefined;
  const isRepeated = claim.token > 1;
  const published = { work, connection, report, refused: told, outside: dependencies, isRepeated, signal };
  await publish(run, parts, published);
  await rm(work, { recursive: true, force: true });
  const refused = progress.refused === 0 ? '' : `, ${progress.refused} refused`;
  await endBatch(pool, claim, `${progress.accepted} rows${refused}`);
}
