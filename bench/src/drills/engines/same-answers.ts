import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fusedFeeds } from '@hotloop/model/fused/fused-feeds.ts';
import type { FusedInput } from '@hotloop/model/fused/fused-input.ts';
import { readMetadata } from '@hotloop/model/onnx/read-metadata.ts';
import { connectSql } from '@hotloop/platform/postgres/sql-client.ts';
import * as ort from 'onnxruntime-node';
import { pythonWith } from '../../peers/python-peer.ts';
import type { EnginesStand } from '../../stand/engines-stand.ts';

const run = promisify(execFile);
const LARGE = { maxBuffer: 256 * 1024 * 1024 };
const LINES_AT_ONCE = 2_000;
const SAME = 1e-6;

type Row = Readonly<Record<string, number | string | boolean>>;
type Scores = readonly (number | null)[];

/**
 * The same rows through every interface that is available on this machine. @returns the number of answers that differ
 * from the prediction API's.
 */
export async function wrongAnswers(
  stand: EnginesStand,
  count: number,
  say: (line: string) => void,
): Promise<number> {
  const { folder, connection, manifest } = stand;
  const parquet = await stand.writeRows('same.parquet', count);
  const rows = (await connection.rows(`SELECT * EXCLUDE (id) FROM '${parquet}' ORDER BY id`)) as Row[];
  const lines = join(folder, 'same.jsonl');
  await writeFile(lines, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const expected = await byFrontDoor(stand, rows);
  const fused = join(folder, 'same.onnx');
  await writeFile(fused, await fusedFile(stand));
  let wrong = 0;
  const compare = (name: string, given: Scores) => {
    const differing = expected.filter((score, row) => !isSame(score, given[row])).length;
    say(`${name}: ${given.length} of ${count} answered, ${differing} differ`);
    wrong += differing;
  };
  compare('batch', await byBatch(stand, parquet));
  await using sql = await connectSql(stand.sqlUrl);
  const [answer] = await sql.query(`SELECT predict('${manifest.name}', t) FROM '${parquet}' t ORDER BY id`);
  compare('SQL', answer?.rows.map(([score]) => (score === null ? null : Number(score))) ?? []);
  compare('the fused file in Node', await byNode(fused, rows));
  const python = await pythonWith({ onnxruntime: 'onnxruntime', numpy: 'numpy' }, say);
  if (python !== undefined) {
    const script = fileURLToPath(new URL('../../peers/fused_answers.py', import.meta.url));
    const { stdout } = await run(python, [script, fused, lines], LARGE);
    compare('the fused file in Python', JSON.parse(stdout) as Scores);
  }
  wrong += await wrongInSpark(stand, { fused, parquet, expected }, say);
  return wrong;
}

async function byFrontDoor({ local, manifest }: EnginesStand, rows: readonly Row[]): Promise<Scores> {
  const url = `http://${local.httpAddresses.preprocessor}/v1/models/${manifest.name}/predict-batch`;
  const scores: (number | null)[] = [];
  for (let from = 0; from < rows.length; from += LINES_AT_ONCE) {
    const lines = rows.slice(from, from + LINES_AT_ONCE).map((request) => JSON.stringify({ request }));
    const headers = { 'content-type': 'application/x-ndjson' };
    const response = await fetch(url, { method: 'POST', headers, body: `${lines.join('\n')}\n` });
    for (const line of (await response.text()).trimEnd().split('\n')) {
      const { decision, error } = JSON.parse(line) as {
        decision?: { score: number };
        error?: { detail: string };
      };
      if (error) throw new Error(`the preprocessor rejected a row: ${error.detail}`);
      scores.push(decision?.score ?? null);
    }
  }
  return scores;
}

async function byBatch({ batch, folder, connection }: EnginesStand, source: string): Promise<Scores> {
  const sink = join(folder, 'same-scores.parquet');
  // A JSON file takes another code path in the worker, and must give the same result.
  await batch(source, sink, { overwrite: true });
  const rows = await connection.rows(`SELECT score FROM '${sink}' ORDER BY "row"`);
  return rows.map(({ score }) => Number(score));
}

/** The live version's fused file, from the control API. */
export async function fusedFile({ local, manifest }: EnginesStand): Promise<Uint8Array> {
  const path = `/v1/models/${manifest.name}/versions/live/fused`;
  const response = await fetch(`http://${local.httpAddresses.retrainer}${path}`);
  if (!response.ok) throw new Error(`the fused file could not be downloaded: ${await response.text()}`);
  return new Uint8Array(await response.arrayBuffer());
}

async function byNode(path: string, rows: readonly Row[]): Promise<Scores> {
  const onnx = await readFile(path);
  const inputs = JSON.parse(readMetadata(onnx).get('hotloop.inputs') ?? '[]') as FusedInput[];
  const named = rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [`request.${name}`, value])),
  );
  const session = await ort.InferenceSession.create(onnx);
  const feeds = fusedFeeds(inputs, named).map(({ name, type, dims, data }) => [
    name,
    new ort.Tensor(type as 'float64', data as Float64Array, dims),
  ]);
  const { score } = await session.run(Object.fromEntries(feeds));
  const scores = Array.from((score?.data ?? []) as Float64Array);
  await session.release();
  return scores;
}

async function wrongInSpark(
  { connection, folder, manifest }: EnginesStand,
  given: { readonly fused: string; readonly parquet: string; readonly expected: Scores },
  say: (line: string) => void,
): Promise<number> {
  const python = await pythonWith(
    { pyspark: 'pyspark', onnxruntime: 'onnxruntime', pandas: 'pandas', pyarrow: 'pyarrow' },
    say,
  );
  if (python === undefined) return 0;
  const lines = join(folder, 'expected.jsonl');
  await writeFile(
    lines,
    given.expected.map((expected, id) => `${JSON.stringify({ id, expected })}\n`).join(''),
  );
  const rows = join(folder, 'same-expected.parquet');
  await connection.run(
    `COPY (SELECT t.*, e.expected FROM '${given.parquet}' t JOIN read_json('${lines}', format = 'newline_delimited',
       columns = {id: 'BIGINT', expected: 'DOUBLE'}) e USING (id)) TO '${rows}' (FORMAT parquet)`,
  );
  const root = fileURLToPath(new URL('../../../../deploy/engines/spark/', import.meta.url));
  const { stdout } = await run(python, [join(root, 'check_spark.py'), given.fused, rows], {
    ...LARGE,
    cwd: root,
  });
  const found = JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}') as Record<string, number>;
  const worst = Math.max(found.sql_difference ?? 1, found.map_difference ?? 1);
  say(`Spark (${manifest.name}): ${found.rows} answered, differ by ${worst} at most`);
  return found.rows === given.expected.length && worst <= SAME ? 0 : given.expected.length;
}

function isSame(a: number | null | undefined, b: number | null | undefined): boolean {
  if (a === null || a === undefined || b === null || b === undefined) return a === b;
  return Math.abs(a - b) <= SAME;
}
