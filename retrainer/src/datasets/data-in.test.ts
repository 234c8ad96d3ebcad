import { execFile } from 'node:child_process';
import { mkdtemp, mkdtempDisposable, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openDuckDb, parquetSource } from '@hotloop/platform/duckdb/duckdb.ts';
import { openMetrics } from '@hotloop/platform/telemetry/metrics.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  linearModel,
  logPredictions,
  openStores,
  type StartedRetrainer,
  type Stores,
  startTestRetrainer,
} from '../testing/fixture.ts';

const MANIFEST = `name: churn
task: binary
features:
  - {name: visits, from: request.visits, transform: [{standardize: {mean: 20, std: 12}}]}
  - {name: plan, from: request.plan, transform: [{one_hot: [free, pro]}]}
training: {epochs: 20, optimizer: {adam: {learning_rate: 0.05}}}
`;

/** A linear model with this seed is right more often than not. */
const READY_SEED = 2;

const rowsOf = (count: number) =>
  Array.from({ length: count }, (_, index) => {
    const [visits, plan] = [(index * 7) % 40, index % 2 === 0 ? 'free' : 'pro'];
    return { visits, plan, left: visits < 20 && plan === 'free' ? 1 : 0 };
  });
const csvOf = (count: number) =>
  `\ufeffvisits,plan,left\r\n${rowsOf(count)
    .map(({ visits, plan, left }) => `${visits},${plan},${left}`)
    .join('\r\n')}\r\n`;

/** Text of more than one chunk of a stream, whose last line is Latin-1. */
function latin1After(rows: number, line = `1,${'free'.repeat(20)},1\n`): Buffer {
  const first = line.startsWith('{') ? '' : 'visits,plan,left\n';
  return Buffer.concat([Buffer.from(first + line.repeat(rows)), Buffer.from('1,für,1\n', 'latin1')]);
}

describe('a file with labels', () => {
  let stores: Stores;
  let metrics: ReturnType<typeof openMetrics>;
  let started: StartedRetrainer;
  let scripts: string;
  beforeAll(async () => {
    stores = await openStores();
    metrics = openMetrics('retrainer');
    scripts = await mkdtemp(join(tmpdir(), 'trainers-'));
    started = await startTestRetrainer(stores, {
      trainers: 0,
      external: { scripts, path: '/usr/local/bin:/usr/bin:/bin' },
      http: { listen: '127.0.0.1:0', metrics },
    });
  });
  afterAll(async () => {
    await started[Symbol.asyncDispose]();
    await metrics[Symbol.asyncDispose]();
    await stores[Symbol.asyncDispose]();
    await rm(scripts, { recursive: true });
  });

  async function call(path: string, body?: string | Buffer) {
    const answer = await fetch(`http://${started.retrainer.httpAddress}/v1${path}`, {
      ...(body === undefined
        ? {}
        : { method: 'POST', body, headers: { 'content-type': 'application/octet-stream' } }),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  }
  const train = (body: string | Buffer, manifest = MANIFEST, label = 'left') =>
    call(
      `/models/first-version?label=${label}&manifest=${Buffer.from(manifest).toString('base64url')}`,
      body,
    );

  it('becomes a trained first version and its history, with any line ends and BOM', async () => {
    const trained = await train(csvOf(400));
    expect(trained).toMatchObject({
      status: 200,
      body: { model: 'churn', version: 1, examples: 400, refused: 0, metrics: { held_out: 80 } },
    });
    expect(Number((trained.body.metrics as { readonly auc: number }).auc)).toBeGreaterThan(0.95);
    const json = rowsOf(50)
      .map((row) => JSON.stringify(row))
      .join('\n');
    const imported = await call('/models/churn/history?label=left', json);
    expect(imported).toMatchObject({ status: 200, body: { examples: 50, refused: 0 } });
    const runs = await call('/runs?model=churn');
    expect(runs.body.runs).toMatchObject([
      { kind: 'first', state: 'succeeded', version: 1, examples: 400, parameters: { optimizer: 'adam' } },
    ]);
    const listed = await call('/datasets?model=churn');
    expect(listed.body.datasets).toMatchObject([
      { kind: 'imported', examples: 50 },
      { kind: 'imported', examples: 400, sha256: trained.body.dataset },
    ]);
    const file = await fetch(
      `http://${started.retrainer.httpAddress}/v1/datasets/${trained.body.dataset}/file`,
    );
    expect(
      Buffer.from(await file.arrayBuffer())
        .subarray(0, 4)
        .toString(),
    ).toBe('PAR1');
  });

  it('becomes what the declared program trains: without a parent, and with missing values as NaN', async () => {
    await writeFile(join(scripts, 'ready.onnx'), linearModel(READY_SEED, 3));
    await writeFile(
      join(scripts, 'train.sh'),
      'test ! -e parent/model.onnx && test -s parent/model.yaml && cp "$1" model.onnx && echo \'{"trees": 7}\' > metrics.json',
    );
    const yaml = MANIFEST.replace('churn', 'trees')
      .replace('request.visits,', 'request.visits, missing: .nan,')
      .replace('training: {', 'training: {trainer: {command: [sh, train.sh, ready.onnx]}, ');
    const csv = csvOf(200).replace('\n7,', '\n,');
    const trained = await train(csv, yaml);
    expect(trained).toMatchObject({
      status: 200,
      body: { version: 1, examples: 200, metrics: { trees: 7, trained_on: 160 } },
    });
    const file = await fetch(
      `http://${started.retrainer.httpAddress}/v1/datasets/${trained.body.dataset}/file`,
    );
    const path = join(scripts, 'dataset.parquet');
    await writeFile(path, Buffer.from(await file.arrayBuffer()));
    await using database = await openDuckDb();
    const rows = await database.query(
      `SELECT prediction_id, part, plan FROM (SELECT *, "plan=pro" AS plan FROM ${parquetSource([path])}) WHERE isnan(visits)`,
    );
    expect(rows).toEqual([{ prediction_id: 'line 3', part: 'training', plan: 1 }]);
    // A network answers NaN to NaN, so it is refused before anything is learnt.
    const network = yaml.replace('trainer: {command: [sh, train.sh, ready.onnx]}, ', '');
    expect(await train(csv, network.replace('trees', 'network'))).toMatchObject({
      status: 400,
      body: { detail: expect.stringContaining('feature visits: missing is .nan') },
    });
  });

  it('may contain outcomes of predictions: each counts once, and refusals name the line', async () => {
    const [first, second] = await logPredictions(stores.pool, [
      { model: 'churn', features: [1, 1, 0], columns: 3 },
      { model: 'churn', features: [2, 0, 1], columns: 3 },
    ]);
    const file = `prediction_id,left\n${first},1\n${second},0\nnonsense,1\n${second},\n${second},7\n`;
    const imported = await call('/models/churn/history?label=left', file);
    expect(imported).toMatchObject({
      status: 200,
      body: { sha256: null, examples: 2, duplicates: 0, refused: 3 },
    });
    const problems = imported.body.problems as string[];
    expect(problems.map((problem) => problem.split(':')[0]).sort()).toEqual(['line 4', 'line 5', 'line 6']);
    expect(await call('/models/churn/history?label=left', file)).toMatchObject({
      body: { examples: 0, duplicates: 2 },
    });
  });

  it('reports refused rows by their line', async () => {
    const broken = csvOf(100).replace('\n7,pro,0', '\nmany,pro,0');
    expect(await train(broken, MANIFEST.replace('churn', 'lines'))).toMatchObject({
      status: 200,
      body: { refused: 1, problems: ['line 3: visits must be a number, not "many"'] },
    });
  });

  it.each<[string, string | Buffer, string]>([
    ['is empty', '', 'empty'],
    ['holds NULs', Buffer.from('visits,plan,left\n1,\0,1\n'), 'NUL'],
    ['is divided by semicolons', csvOf(50).replaceAll(',', ';'), 'semicolons'],
    ['has one endless line', Buffer.alloc(3 << 20, 'x'), 'longer than'],
    ['has a million columns', `${'c,'.repeat(1_000_000)}\n`, 'longer than'],
    ['has ten thousand columns', `${'c,'.repeat(10_000)}\n`, '10001 columns'],
    ['has ragged rows', `${csvOf(50)}1,free\n`, 'line 52'],
    ['has a column twice', csvOf(50).replace('plan', 'visits'), 'twice'],
    ['is text of another encoding', Buffer.from('visits,plän,left\n', 'latin1'), 'UTF-8'],
    ['has a line of Latin-1 later', latin1After(3_000), 'line 3002 is not UTF-8'],
    ['has lines of JSON in Latin-1 later', latin1After(3_000, '{"visits":1}\n'), 'line 3001 is not UTF-8'],
    ['is an Excel workbook', Buffer.from('PK\x03\x04 and more'), 'Excel'],
    ['is compressed', Buffer.from([0x1f, 0x8b, 8, 1]), 'gzip'],
    ['is a JSON array', '[{"visits":1}]', 'one JSON object a line'],
    ['is Parquet that was cut off', 'PAR1 and no footer', 'incomplete'],
    ['has one class alone', csvOf(50).replaceAll(/,[01]\r/g, ',1\r'), 'one class'],
    ['has one row', csvOf(1), '1 rows'],
    ['has constant columns', csvOf(60).replaceAll(/\d+,(free|pro),/g, '1,free,'), 'constant'],
  ])('that %s is refused with the reason', async (_what, body, words) => {
    const answer = await train(body, MANIFEST.replace('churn', 'refused'));
    expect(answer.status).toBe(400);
    expect(answer.body.detail).toContain(words);
  });

  it('leads by itself to a model: drafted from its titles, dates and missing values, and trained as drafted', async () => {
    const day = (row: number) => new Date(Date.UTC(2026, 0, 1 + row, row % 24)).toISOString();
    const lines = Array.from({ length: 400 }, (_, row) => {
      const [spend, plan] = [(row * 37) % 100, ['free', 'pro'][row % 2]];
      const left = spend < 50 && plan === 'free' ? 'yes' : 'no';
      const missing = row % 9 === 3 ? 'NA' : row % 11 === 5 ? '' : `${spend}.5`;
      return `${1000 + row},${missing},${plan},${row % 13 === 0 ? '' : day(row)},always,2026-01-0${(row % 9) + 1},${left}`;
    });
    const file = `Customer id,Monthly spend (EUR),plan,Seen at,constant,Day,Left?\n${lines.join('\n')}\n`;
    const drafted = await call('/models/draft?name=titles&label=Left%3F', file);
    expect(drafted).toMatchObject({ status: 200, body: { task: 'binary', label: 'Left?' } });
    const { yaml, features, findings, example } = drafted.body as {
      readonly yaml: string;
      readonly features: readonly string[];
      readonly findings: readonly { readonly column: string; readonly finding: string }[];
      readonly example: unknown;
    };
    expect(features).toEqual([
      ...['Monthly_spend_EUR', 'plan', 'Seen_at_hour', 'Seen_at_weekday', 'Seen_at_month'],
    ]);
    expect(findings.map(({ column, finding }) => `${column}: ${finding}`)).toEqual([
      'Customer id: id',
      'constant: no_variance',
      'Day: unreadable_time',
    ]);
    expect(example).toEqual({ Monthly_spend_EUR: 37.5, plan: 'pro', Seen_at: day(1) });
    const trained = await train(file, yaml, encodeURIComponent('Left?'));
    expect(trained).toMatchObject({ status: 200, body: { model: 'titles', examples: 400, refused: 0 } });
    // A column that is not found would be missing in every row, and the label could not be told.
    expect(Number((trained.body.metrics as { readonly auc: number }).auc)).toBeGreaterThan(0.85);
  });

  it('drafts and trains also hundreds of columns, and says why nothing can be drafted', async () => {
    const wide = Array.from({ length: 300 }, (_, column) => `measurement ${column}`);
    // Enough rows for a single training: small tables are cross-validated.
    const rows = Array.from({ length: 120 }, (_, row) =>
      [
        ...wide.map((_title, column) =>
          column === 7 ? (row % 2) * 5 + (row % 3) : (100 * Math.sin(97 * row + 13 * column)).toFixed(2),
        ),
        row % 2,
      ].join(','),
    );
    const file = `${wide.join(',')},label\n${rows.join('\n')}\n`;
    const drafted = await call('/models/draft?name=wide', file);
    expect((drafted.body.features as readonly string[]).length).toBeGreaterThan(200);
    const yaml = String(drafted.body.yaml).replace(/epochs: \d+/, 'epochs: 20');
    const trained = await call(
      `/models/first-version?label=label&manifest_bytes=${Buffer.byteLength(yaml)}`,
      Buffer.from(yaml + file),
    );
    expect(trained).toMatchObject({ status: 200, body: { model: 'wide', examples: 120 } });
    const draftOf = async (body: string, label = 'y') =>
      (await call(`/models/draft?name=none&label=${label}`, body)).body.detail;
    const texts = Array.from({ length: 150 }, (_, row) => `${row % 7},comment ${row}`).join('\n');
    expect(await draftOf('x,y\n1,2\n2,2\n')).toBe('the label y has fewer than two values');
    expect(await draftOf(`x,y\n${texts}\n`)).toContain('150 different texts; at most 100 are told apart');
    expect(await draftOf('x,y\n1,2\n', 'z')).toContain('there is no column "z"; there are x, y');
    expect(await draftOf('x,y\n')).toBe('the file has no rows');
  });

  it('without the named label column is refused, listing its columns', async () => {
    expect((await train(csvOf(50), MANIFEST, 'churned')).body.detail).toContain('visits, plan, left');
  });

  it('takes models and corrections from the Python client', async ({ skip }) => {
    const clients = fileURLToPath(new URL('../../../clients/python', import.meta.url));
    const run = promisify(execFile);
    const isThere = await run('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 9))']).then(
      () => true,
      () => false,
    );
    if (!isThere) return skip('there is no Python 3.9 here');
    await using folder = await mkdtempDisposable(join(tmpdir(), 'hotloop-python-'));
    const environment = { PATH: process.env.PATH ?? '', PYTHONPATH: clients, PYTHONDONTWRITEBYTECODE: '1' };
    const { stdout } = await run(
      'python3',
      [`${clients}/tests/control.py`, `http://${started.retrainer.httpAddress}`, folder.path],
      { env: environment },
    );
    expect(JSON.parse(stdout)).toEqual({
      ...{ pushed: ['from-python', 1, true, false], corrections: [2, 1], approved: 'approved' },
      ...{ missing: 'told', unknown: 'NOT_FOUND', datasets: expect.any(Number) },
    });
  });
});
