import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { pythonWith } from '../../peers/python-peer.ts';
import type { EnginesStand } from '../../stand/engines-stand.ts';
import { commandsOnPath } from './commands-on-path.ts';
import { fusedFile } from './same-answers.ts';

const run = promisify(execFile);
const EXAMPLES = fileURLToPath(new URL('../../../../deploy/engines/', import.meta.url));
const OPTIONS = { maxBuffer: 64 * 1024 * 1024, timeout: 900_000 };
const ROWS = 500;
const SAME = 1e-6;

const RUNS = { ray: byRay, flink: byFlink, airflow: byAirflow };

/** The engines whose examples run. */
export const ENGINES: readonly string[] = Object.keys(RUNS);

/**
 * Runs the examples of Ray, Flink and Airflow, or of one of them, with those engines from PyPI, against the stand. An engine that cannot
 * be installed is skipped, in one line. @returns how many ran, and how many gave another answer than the platform does, or none.
 */
export async function runEngineExamples(
  stand: EnginesStand,
  path: string,
  say: (line: string) => void,
  engines: readonly string[] = ENGINES,
): Promise<{ ran: number; failed: number }> {
  const folder = join(stand.folder, 'engine-examples');
  const environment = await commandsOnPath(stand, folder, path);
  let [ran, failed] = [0, 0];
  for (const [name, example] of Object.entries(RUNS)) {
    if (!engines.includes(name)) continue;
    try {
      const found = await example(stand, { folder, environment, say });
      if (found === undefined) continue;
      ran++;
      if (!found.isRight) failed++;
      say(`${name}: ${found.told}`);
    } catch (error) {
      ran++;
      failed++;
      const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string };
      say(`${name} failed: ${(stderr || stdout || message).slice(-1500)}`);
    }
  }
  return { ran, failed };
}

interface Where {
  readonly folder: string;
  readonly environment: Record<string, string>;
  readonly say: (line: string) => void;
}

type Found = { readonly isRight: boolean; readonly told: string } | undefined;

/** Ray Data over a folder of Parquet, beside a batch of the same rows. */
async function byRay(stand: EnginesStand, { folder, environment, say }: Where): Promise<Found> {
  const packages = { ray: 'ray[data]', onnxruntime: 'onnxruntime', pandas: 'pandas', pyarrow: 'pyarrow' };
  const python = await pythonWith(packages, say, 'python-ray');
  if (python === undefined) return undefined;
  const rows = await stand.writeRows('ray-rows.parquet', ROWS);
  const scores = join(folder, 'ray-batch.parquet');
  await stand.batch(rows, scores, { overwrite: true });
  const fused = join(folder, 'ray.onnx');
  await writeFile(fused, await fusedFile(stand));
  const source = join(folder, 'ray-rows');
  await mkdir(source, { recursive: true });
  await copyFile(rows, join(source, 'rows.parquet'));
  const sink = join(folder, 'ray-scores');
  const env = { ...environment, PYTHONPATH: join(EXAMPLES, 'spark'), RAY_USAGE_STATS_ENABLED: '0' };
  await run(python, [join(EXAMPLES, 'examples/ray_batch.py'), fused, source, sink], { ...OPTIONS, env });
  const [found] = await stand.connection.rows(
    `SELECT count(*) AS n, max(abs(r.score - b.score)) AS worst FROM '${sink}/*.parquet' r JOIN '${scores}' b USING (id)`,
  );
  const [count, worst] = [Number(found?.n), Number(found?.worst)];
  return { isRight: count === ROWS && worst <= SAME, told: `${count} rows, differ by ${worst} at most` };
}

/** A Flink SQL table answered by asynchronous calls, beside the same calls one by one. */
async function byFlink(stand: EnginesStand, { folder, environment, say }: Where): Promise<Found> {
  const python = await pythonWith({ pyflink: 'apache-flink' }, say, 'python-flink');
  if (python === undefined) return undefined;
  const shape = { hidden: [4], outputs: 1, activation: 'relu', head: 'sigmoid', seed: 5 } as const;
  const onnx = perceptron({ inputs: 3, ...shape });
  const { version } = await stand.client.models.push({ name: 'flink-numbers', onnx }).finished();
  await stand.client.models.promote(version.model, version.version).finished();
  const rows = Array.from({ length: ROWS }, (_, id) => ({ id, a: id / ROWS, b: 1 - id / ROWS, c: id % 7 }));
  const path = join(folder, 'flink.jsonl');
  await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const server = `http://${stand.local.httpAddresses.compute}`;
  const expected = await askedDirectly(server, version.model, rows);
  const script = join(EXAMPLES, 'examples/flink_async.py');
  const { stdout } = await run(python, [script, server, version.model, path], {
    ...OPTIONS,
    env: environment,
  });
  const answers = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { id: number; score: number });
  const differing = answers.filter(
    ({ id, score }) => Math.abs(score - (expected[id] ?? Number.NaN)) > SAME || expected[id] === undefined,
  );
  const isRight = new Set(answers.map(({ id }) => id)).size === ROWS && differing.length === 0;
  return { isRight, told: `${answers.length} of ${ROWS} rows, ${differing.length} differ` };
}

async function askedDirectly(
  server: string,
  model: string,
  rows: readonly { readonly a: number; readonly b: number; readonly c: number }[],
): Promise<readonly number[]> {
  const url = `${server}/v2/models/${model}`;
  const { inputs } = (await (await fetch(url)).json()) as { inputs: { name: string }[] };
  const data = rows.flatMap(({ a, b, c }) => [a, b, c]);
  const tensor = { name: inputs[0]?.name, datatype: 'FP32', shape: [rows.length, 3], data };
  const answer = await fetch(`${url}/infer`, { method: 'POST', body: JSON.stringify({ inputs: [tensor] }) });
  if (!answer.ok) throw new Error(await answer.text());
  return ((await answer.json()) as { outputs: { data: number[] }[] }).outputs[0]?.data ?? [];
}

/** The DAG in Airflow itself: there are no labels, so the retraining ends it with its exit code, and the batch runs all the same. */
async function byAirflow(stand: EnginesStand, { folder, environment, say }: Where): Promise<Found> {
  const python = await pythonWith({ airflow: 'apache-airflow' }, say, 'python-airflow');
  if (python === undefined) return undefined;
  const home = join(folder, 'airflow');
  await mkdir(join(home, 'dags'), { recursive: true });
  const dag = await readFile(join(EXAMPLES, 'examples/airflow_dag.py'), 'utf8');
  await writeFile(join(home, 'dags', 'hotloop.py'), dag.replace('DATA = "/data"', `DATA = "${folder}"`));
  const rows = await stand.writeRows('airflow-rows.parquet', ROWS);
  for (const name of ['reference', 'sessions']) await copyFile(rows, join(folder, `${name}.parquet`));
  const env = {
    ...environment,
    AIRFLOW_HOME: home,
    AIRFLOW__CORE__LOAD_EXAMPLES: 'False',
    AIRFLOW__CORE__DAGS_FOLDER: join(home, 'dags'),
  };
  await run(python, ['-m', 'airflow', 'db', 'migrate'], { ...OPTIONS, env });
  const day = '2026-01-02';
  // Its exit code is 1 because a task failed, as it should.
  const { stdout, stderr } = await run(python, ['-m', 'airflow', 'dags', 'test', 'hotloop_nightly', day], {
    ...OPTIONS,
    env,
  }).catch((error: { stdout?: string; stderr?: string }) => ({
    stdout: error.stdout ?? '',
    stderr: error.stderr ?? '',
  }));
  const text = `${stdout}${stderr}`;
  const report = await readFile(join(folder, 'scores', day, '_result.json'), 'utf8').catch(() => '');
  const accepted = report === '' ? 0 : (JSON.parse(report) as { accepted: number }).accepted;
  const isChecked = /monitor check/.test(text) && /code 7/.test(text);
  if (accepted !== ROWS || !isChecked) say(text.slice(-3000));
  return {
    isRight: accepted === ROWS && isChecked,
    told: `checked, refused to retrain without labels, ${accepted} rows predicted`,
  };
}
