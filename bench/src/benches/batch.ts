import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { compileDecisionPlan } from '@hotloop/model/decision/decision-plan.ts';
import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import { fuseModel } from '@hotloop/model/fused/fuse-model.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { openSqlDatabase, type SqlConnection } from '@hotloop/platform/duckdb/sql-database.ts';
import { memoryBundleStore } from '@hotloop/platform/registry/memory-bundle-store.ts';
import { inputExpression } from '@hotloop/retrainer/batch/source-columns.ts';
import { openVersionScorer } from '@hotloop/retrainer/scoring/version-scorer.ts';
import * as ort from 'onnxruntime-node';
import type { BenchOptions } from '../bench.ts';
import { type Figure, figure } from '../figure.ts';

const ROWS = 1_000_000;
const CHECKED = 10_000;
const BARE_ROWS = 2048;
const HIDDEN = [256, 128];

/** 1 million rows of the shoppers example: whole plan and a network of 17-256-128-1, Parquet to Parquet in one worker. */
export async function batchBench({ rounds, say }: BenchOptions): Promise<Figure[]> {
  await using stand = await openBatchStand();
  const { connection, source, folder } = stand;
  const batch: number[] = [];
  const sql: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const bare = await bareRowsPerSecond(stand.onnx, stand.width);
    const copied = await rowsPerSecond(
      connection,
      `COPY (SELECT id, answer(${stand.call}) AS a FROM '${source}') TO '${join(folder, 'out.parquet')}'`,
    );
    const summed = await rowsPerSecond(connection, `SELECT sum(score(${stand.call})) FROM '${source}'`);
    say(`bare ${Math.round(bare)}, batch ${Math.round(copied)}, SQL ${Math.round(summed)} rows/s`);
    batch.push(copied / bare);
    sql.push(summed / copied);
  }
  return [
    figure('fused_equal', [await fusedDifference(stand.manifest, stand.onnx, connection, stand)], {
      atMost: 1e-6,
    }),
    figure('batch_rows', batch, { atLeast: 0.5 }),
    figure('sql_rows', sql, { atLeast: 0.5 }),
  ];
}

/** The same rows by Spark, in SQL and by mapInPandas; needs a Python with pyspark and onnxruntime (`PATH`'s python3). */
export async function sparkBench({ say }: BenchOptions): Promise<Figure[]> {
  await using stand = await openBatchStand();
  const { connection, folder, source } = stand;
  const file = join(folder, 'model.onnx');
  const rows = join(folder, 'expected.parquet');
  await writeFile(file, stand.fused);
  await connection.run(`COPY (SELECT *, score(${stand.call}) AS expected FROM '${source}') TO '${rows}'`);
  const root = new URL('../../../deploy/engines/spark/', import.meta.url).pathname;
  const ran = await promisify(execFile)('python3', [join(root, 'check_spark.py'), file, rows], { cwd: root });
  say(ran.stdout.trim());
  const {
    rows: count,
    sql_difference,
    map_difference,
  } = JSON.parse(ran.stdout.trim().split('\n').at(-1) ?? '{}') as Record<string, number>;
  const isEqual = count === ROWS && Math.max(sql_difference ?? 1, map_difference ?? 1) <= 1e-6;
  return [figure('spark_equal', [isEqual ? 1 : 0], { atLeast: 1 })];
}

async function openBatchStand() {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-bench-batch-'));
  const yaml = await readFile(new URL('../../../examples/shoppers/model.yaml', import.meta.url), 'utf8');
  const manifest = parseManifest(yaml);
  const width = columnsOf(manifest).width;
  const onnx = perceptron({
    inputs: width,
    hidden: HIDDEN,
    outputs: 1,
    activation: 'relu',
    head: 'sigmoid',
    seed: 1,
  });
  const bundles = memoryBundleStore();
  const bundleSha256 = await bundles.put({ manifestYaml: yaml, onnx });
  const record = {
    model: manifest.name,
    version: 1,
    bundleSha256,
    onnxSha256: '',
    manifest,
    parentVersion: null,
  };
  const scorer = await openVersionScorer(bundles, record);
  const database = await openSqlDatabase({ memoryMb: 1024, threads: 1, files: true });
  const parameters = scorer.inputs.map(({ type }) => type);
  await database.register({
    name: 'answer',
    parameters,
    returns: 'float64[]',
    run(columns, rows) {
      const { accepted, score } = scorer.score(columns, rows);
      return Array.from({ length: rows }, (_, row) => [accepted[row] as number, score[row] as number]);
    },
  });
  await database.register({
    name: 'score',
    parameters,
    returns: 'float64',
    run: (columns, rows) => scorer.score(columns, rows).score,
  });
  const connection = await database.connect();
  const source = join(folder, 'rows.parquet');
  const column = (from: string) => `"${from.slice('request.'.length)}"`;
  const values = manifest.features.map(({ name, from }) => {
    if (name === 'visitor')
      return `['Returning_Visitor', 'New_Visitor', 'Other'][1 + (hash(n) % 3)::INTEGER] AS ${column(from)}`;
    if (name === 'weekend') return `hash(n + 1) % 2 = 0 AS ${column(from)}`;
    return `(hash(n * 31 + ${from.length}) % 10000) / ${/rate|day/.test(name) ? 50_000 : 100} AS ${column(from)}`;
  });
  await connection.run(
    `COPY (SELECT n AS id, ${values.join(', ')} FROM range(${ROWS}) t(n)) TO '${source}' (FORMAT parquet, ROW_GROUP_SIZE 100000)`,
  );
  return {
    ...{ folder, manifest, width, onnx, scorer, connection, source },
    fused: fuseModel(manifest, onnx, record).onnx,
    call: scorer.inputs.map((input) => inputExpression(input, () => true)).join(', '),
    async [Symbol.asyncDispose]() {
      connection[Symbol.dispose]();
      await database[Symbol.asyncDispose]();
      scorer[Symbol.dispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function rowsPerSecond(connection: SqlConnection, sql: string): Promise<number> {
  const start = performance.now();
  await connection.run(sql);
  return (ROWS / (performance.now() - start)) * 1000;
}

async function bareRowsPerSecond(onnx: Uint8Array, width: number): Promise<number> {
  const session = await ort.InferenceSession.create(onnx, { intraOpNumThreads: 1 });
  const input = new ort.Tensor('float32', new Float32Array(BARE_ROWS * width).fill(0.3), [BARE_ROWS, width]);
  const start = performance.now();
  for (let done = 0; done < ROWS; done += BARE_ROWS) await session.run({ input });
  const rate = (ROWS / (performance.now() - start)) * 1000;
  await session.release();
  return rate;
}

/** The largest difference between the fused file and plan, network and decision, one request at a time. */
async function fusedDifference(
  manifest: Manifest,
  onnx: Uint8Array,
  connection: SqlConnection,
  { source, call }: { readonly source: string; readonly call: string },
): Promise<number> {
  const plan = compileFeaturePlan(manifest);
  const decision = compileDecisionPlan(manifest);
  const session = await ort.InferenceSession.create(onnx);
  const nothing = Object.create(null) as Record<string, never>;
  let worst = 0;
  for (const { expected, id: _, ...row } of await connection.rows(
    `SELECT *, score(${call}) AS expected FROM '${source}' LIMIT ${CHECKED}`,
  )) {
    const request = Object.assign(Object.create(null) as Record<string, never>, row);
    const { features, columns } = plan.run(
      { request, entities: nothing, candidates: [] },
      [] as never,
      0,
    ) as unknown as { features: Uint8Array; columns: number };
    const input = new ort.Tensor('float32', new Float32Array(features.slice().buffer), [1, columns]);
    const output = Object.values(await session.run({ input }))[0]!;
    const contents = new Uint8Array((output.data as Float32Array).slice().buffer);
    const { score } = decision.decide({
      outputs: [{ name: 'y', datatype: 'FP32', shape: output.dims, contents }],
      ...{ predictionId: '', candidates: [], request, entities: nothing, excluded: [] },
    });
    worst = Math.max(worst, Math.abs(score - Number(expected)));
  }
  await session.release();
  return worst;
}
