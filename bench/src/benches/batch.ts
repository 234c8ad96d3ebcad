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
import { quantile } from '../interleave.ts';
import { pythonWith } from '../peers/python-peer.ts';
import { shopperRows, startEnginesStand } from '../stand/engines-stand.ts';
import { peakBytes } from '../stand/resident-bytes.ts';
import { fusedEquality } from './fused-equality.ts';

const ROWS = 1_000_000;
const WORKER_ROWS = 10_000_000;
const CHECKED = 10_000;
const BARE_ROWS = 2048;
const SPARK_PACKAGES = {
  pyspark: 'pyspark',
  onnxruntime: 'onnxruntime',
  pandas: 'pandas',
  pyarrow: 'pyarrow',
};
const HIDDEN = [256, 128];

/**
 * The shoppers example with a network of 17-256-128-1: 10 million rows by the worker of a running platform (`--rows`
 * for fewer), compared with a tight loop of the runtime over the prepared matrix, and its memory compared with a
 * tenth of the rows.
 */
export async function batchBench({ rounds, rows = WORKER_ROWS, say }: BenchOptions): Promise<Figure[]> {
  await using stand = await openBatchStand(Math.min(ROWS, rows));
  const { connection, source, folder } = stand;
  const bare: number[] = [];
  const inProcess: number[] = [];
  const measured = Math.min(ROWS, rows);
  for (let round = 0; round < rounds; round++) {
    const loop = await bareRowsPerSecond(stand.onnx, stand.width, measured);
    const copied = await rowsPerSecond(
      connection,
      measured,
      `COPY (SELECT id, score(${stand.call}) AS a FROM '${source}') TO '${join(folder, 'out.parquet')}'`,
    );
    say(`bare ${Math.round(loop)}, columns in one process ${Math.round(copied)} rows/s`);
    bare.push(loop);
    inProcess.push(copied / loop);
  }
  const equality = await fusedEquality(Math.min(CHECKED, rows), say);
  const byColumns = await fusedDifference(stand.manifest, stand.onnx, connection, stand);
  const few = await workerRun(Math.ceil(rows / 10), say);
  const many = await workerRun(rows, say);
  bare.push(await bareRowsPerSecond(stand.onnx, stand.width, measured));
  return [
    figure('fused_equal', [Math.max(equality, byColumns)], { atMost: 1e-6 }),
    figure('batch_rows', [many.rowsPerSecond / quantile(bare, 0.5)], { atLeast: 0.5 }),
    figure('batch_rows_in_process', inProcess),
    figure('batch_rows_per_s', [many.rowsPerSecond]),
    figure('batch_memory', [many.peakBytes / few.peakBytes], { atMost: 1.1 }),
  ];
}

/** The same rows by Spark, in SQL and by mapInPandas; skipped without a Python with pyspark and onnxruntime. */
export async function sparkBench({ rows = ROWS, say }: BenchOptions): Promise<Figure[]> {
  await using stand = await openBatchStand(rows);
  const { connection, folder, source } = stand;
  const file = join(folder, 'model.onnx');
  const expected = join(folder, 'expected.parquet');
  await writeFile(file, stand.fused);
  await connection.run(`COPY (SELECT *, score(${stand.call}) AS expected FROM '${source}') TO '${expected}'`);
  const root = new URL('../../../deploy/engines/spark/', import.meta.url).pathname;
  const python = await pythonWith(SPARK_PACKAGES, say);
  if (python === undefined) return [];
  const ran = await promisify(execFile)(python, [join(root, 'check_spark.py'), file, expected], {
    cwd: root,
  });
  say(ran.stdout.trim());
  const {
    rows: count,
    sql_difference,
    map_difference,
  } = JSON.parse(ran.stdout.trim().split('\n').at(-1) ?? '{}') as Record<string, number>;
  const isEqual = count === rows && Math.max(sql_difference ?? 1, map_difference ?? 1) <= 1e-6;
  return [figure('spark_equal', [isEqual ? 1 : 0], { atLeast: 1 })];
}

async function openBatchStand(rows: number) {
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
  await database.register({
    name: 'score',
    parameters: scorer.parameters,
    returns: 'float64',
    run: (columns, count) => scorer.score(columns, count),
  });
  const connection = await database.connect();
  const source = join(folder, 'rows.parquet');
  await connection.run(
    `COPY (${shopperRows(manifest, rows)}) TO '${source}' (FORMAT parquet, ROW_GROUP_SIZE 100000)`,
  );
  return {
    ...{ folder, manifest, width, onnx, scorer, connection, source },
    fused: fuseModel(manifest, onnx, record).onnx,
    call: scorer.inputs.map((input) => inputExpression(input, () => '')).join(', '),
    async [Symbol.asyncDispose]() {
      connection[Symbol.dispose]();
      await database[Symbol.asyncDispose]();
      scorer[Symbol.dispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function rowsPerSecond(connection: SqlConnection, rows: number, sql: string): Promise<number> {
  const start = performance.now();
  await connection.run(sql);
  return (rows / (performance.now() - start)) * 1000;
}

async function bareRowsPerSecond(onnx: Uint8Array, width: number, rows: number): Promise<number> {
  const session = await ort.InferenceSession.create(onnx, { intraOpNumThreads: 1 });
  const input = new ort.Tensor('float32', new Float32Array(BARE_ROWS * width).fill(0.3), [BARE_ROWS, width]);
  const start = performance.now();
  for (let done = 0; done < rows; done += BARE_ROWS) await session.run({ input });
  const rate = (rows / (performance.now() - start)) * 1000;
  await session.release();
  return rate;
}

/**
 * The largest difference between the scorer of batch and SQL and the plan, network and decision, one request at a
 * time.
 */
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

interface WorkerRun {
  readonly rowsPerSecond: number;
  readonly peakBytes: number;
}

/** This many rows, from Parquet to a folder of Parquet, by a batch worker of a separate platform. */
async function workerRun(rows: number, say: (line: string) => void): Promise<WorkerRun> {
  await using stand = await startEnginesStand();
  const source = await stand.writeRows('rows.parquet', rows);
  const seconds = await stand.batch(source, join(stand.folder, 'out'));
  const peak = peakBytes(stand.local.pidOf('batch-worker') ?? 0);
  say(`${rows} rows by a worker: ${Math.round(rows / seconds)} rows/s, ${Math.round(peak / 1e6)} MB at most`);
  return { rowsPerSecond: rows / seconds, peakBytes: peak };
}
