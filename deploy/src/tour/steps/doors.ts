import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fusedFeeds } from '@hotloop/model/fused/fused-feeds.ts';
import type { FusedInput } from '@hotloop/model/fused/fused-input.ts';
import { decodeModel } from '@hotloop/model/onnx/model.ts';
import type { RawMessage } from '@hotloop/platform/kafka/message.ts';
import { readTopicRange } from '@hotloop/platform/kafka/read-range.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import * as ort from 'onnxruntime-node';
import { loadFusedPredictor } from '../../serverless/fused-predictor.ts';
import { lambdaHandler } from '../../serverless/lambda-handler.ts';
import type { TourContext } from '../tour-context.ts';
import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';

/** One visitor, scored through every interface; all must agree with the prediction API. */
const VISITOR = { visits: 7, plan: 'pro' };
const SAME = 1e-6;
const ROW_SQL = "{'visits': 7.0, 'plan': 'pro'}";

/** The prediction API's score, and the version that computed it. */
async function frontDoor(context: TourContext): Promise<{ score: number; version: number }> {
  const input = { user: 'u1', request: VISITOR };
  return await context.until('a prediction', () => context.client.predict('churn', input));
}

function expectSame(score: number, expected: number): void {
  expectThat(Math.abs(score - expected) <= SAME, `the front door's score ${expected}`, `it is ${score}`);
}

const sqlByPsql: TourStep = {
  name: 'sql-by-psql',
  about: 'A statement with predict(...) is answered over the Postgres protocol.',
  async run(context) {
    const { sqlAddress } = context.local;
    expectThat(sqlAddress !== undefined, 'SQL to be served', 'it did not start');
    const { score, version } = await frontDoor(context);
    const sql = `SELECT predict('churn@${version}', ${ROW_SQL}) AS score`;
    const url = `postgres://tour@${sqlAddress}/hotloop`;
    const psql = await context.program('psql', url, '-t', '-A', '-c', sql);
    if (psql !== undefined) {
      expectThat(psql.exitCode === 0, 'psql to succeed', psql.err.trim());
      expectSame(Number(psql.out.trim()), score);
      return `psql returned ${Number(psql.out).toFixed(3)}`;
    }
    const limits = { max: 1, queryTimeoutMs: 20_000, application: 'tour', log: silentLog() };
    await using pool = openPool(url, limits);
    const { rows } = await pool.query<{ score: number }>(sql);
    expectSame(Number(rows[0]?.score), score);
    return `a Postgres driver returned ${Number(rows[0]?.score).toFixed(3)} (psql is not on this machine)`;
  },
};

interface BatchAnswer {
  readonly state: string;
  readonly accepted: number;
  readonly refused: number;
  readonly version: number;
}

const batchParquet: TourStep = {
  name: 'batch-parquet',
  about: 'A file of rows becomes a Parquet file of predictions, the same as one by one.',
  async run(context) {
    const { score, version } = await frontDoor(context);
    const lines = ['id,visits,plan', '1,7,pro', '2,0,free', '3,1,unheard-of'];
    const source = await context.write('visitors.csv', `${lines.join('\n')}\n`);
    const sink = join(context.folder, 'scored.parquet');
    const of = ['--use-version', String(version), '--from', source, '--to', sink];
    const run = await context.json<BatchAnswer>('batch', 'run', 'churn', ...of);
    expectThat(run.state === 'done' && run.accepted + run.refused === 3, 'three rows', JSON.stringify(run));
    const jsonl = join(context.folder, 'scored.jsonl');
    await context.json('batch', 'run', 'churn', ...of.slice(0, -1), jsonl);
    const rows = (await readFile(jsonl, 'utf8')).trim().split('\n');
    const first = JSON.parse(rows[0] ?? '{}') as { id: number; score: number };
    expectSame(first.score, score);
    return `${run.accepted} rows by version ${run.version}, ${run.refused} refused`;
  },
};

const REPLAYED = 6;

const replayTopic: TourStep = {
  name: 'replay-topic',
  about:
    'Requests of a topic are answered again by another version, in their order for each key, into another topic.',
  async run(context) {
    const { version } = await frontDoor(context);
    const [requests, answers] = ['tour-replay-requests', `tour-replay-answers-${version}`];
    const messages = Array.from({ length: REPLAYED }, (_, at) => ({
      key: `k${at % 2}`,
      value: JSON.stringify({ request: { ...VISITOR, visits: at }, entities: { user: `u${at}` } }),
    }));
    await context.producer.send(requests, messages);
    const range = ['--from', `kafka:${requests}`, '--to', `kafka:${answers}`];
    const run = await context.json<BatchAnswer>(
      ...['batch', 'run', 'churn', '--use-version', String(version), ...range],
    );
    expectThat(run.state === 'done' && run.accepted >= REPLAYED, `${REPLAYED} rows`, JSON.stringify(run));
    const brokers = context.local.backing.kafkaBrokers.split(',');
    const kafka = { brokers, clientId: 'tour', log: silentLog() };
    const users: string[] = [];
    const take = async (found: readonly RawMessage[]) => {
      for (const { key, value } of found) {
        const { user } = JSON.parse(Buffer.from(value ?? []).toString()) as { user: string };
        if (Buffer.from(key ?? []).toString() === 'k0') users.push(user);
      }
    };
    await readTopicRange(kafka, { topic: answers, fromMs: undefined, toMs: undefined }, take, context.signal);
    expectThat(
      users.join() === 'u0,u2,u4',
      'the answers of a key in the order of its requests',
      users.join(),
    );
    const again = await context.command('batch', 'run', 'churn', ...range);
    expectThat(again.exitCode !== 0, 'a topic that holds messages to be left alone', again.out.trim());
    return `${run.accepted} requests answered by version ${run.version}, and refused a second time without --append`;
  },
};

async function fusedFile(context: TourContext, version: number): Promise<Uint8Array> {
  const path = join(context.folder, 'churn-fused.onnx');
  const output = ['--use-version', String(version), '-o', path];
  await context.json('model', 'export', 'churn', '--fused', ...output);
  return await readFile(path);
}

const fusedInPlainRuntime: TourStep = {
  name: 'fused-file-in-plain-runtime',
  about: 'One ONNX file with features and decision is executed by a bare ONNX Runtime.',
  async run(context) {
    const { score, version } = await frontDoor(context);
    const onnx = await fusedFile(context, version);
    const inputs = JSON.parse(decodeModel(onnx).metadata.get('hotloop.inputs') ?? '[]') as FusedInput[];
    const row = { 'request.visits': VISITOR.visits, 'request.plan': VISITOR.plan };
    const session = await ort.InferenceSession.create(onnx);
    const feeds = fusedFeeds(inputs, [row]).map(({ name, type, dims, data }) => [
      name,
      new ort.Tensor(type as 'float64', data as Float64Array, dims),
    ]);
    const answer = await session.run(Object.fromEntries(feeds));
    expectSame(Number(answer.score?.data[0]), score);
    return `${onnx.length} bytes, inputs ${inputs.map(({ name }) => name).join(', ')}`;
  },
};

const lambda: TourStep = {
  name: 'lambda-handler',
  about: 'The same file answers a call of AWS Lambda, without a database.',
  async run(context) {
    const { score, version } = await frontDoor(context);
    const predictor = await loadFusedPredictor(await fusedFile(context, version), randomPredictionIds());
    let logged = 0;
    const handle = lambdaHandler(
      predictor,
      (rows) => {
        logged += rows.length;
      },
      Date.now,
    );
    const answer = await handle({ body: JSON.stringify({ request: VISITOR }) });
    expectThat(answer.statusCode === 200, 'status 200', answer.body);
    const { predictions } = JSON.parse(answer.body) as { predictions: { score: number }[] };
    expectSame(predictions[0]?.score ?? Number.NaN, score);
    return `answered, ${logged} prediction logged`;
  },
};

export const DOOR_STEPS: readonly TourStep[] = [
  batchParquet,
  replayTopic,
  sqlByPsql,
  fusedInPlainRuntime,
  lambda,
];
