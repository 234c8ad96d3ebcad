import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fuseModel } from '@hotloop/model/fused/fuse-model.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { expect, it } from 'vitest';
import { loadFusedPredictor, type ServerlessPrediction } from './fused-predictor.ts';
import { openFusedSource } from './fused-source.ts';
import { lambdaHandler } from './lambda-handler.ts';
import { openModelHost } from './model-host.ts';
import { openPredictionSink } from './prediction-sink.ts';
import { startSagemakerServer } from './sagemaker-server.ts';

const MANIFEST = parseManifest(`name: churn
decision: {labels: [stays, leaves]}
features:
  - {name: visits, from: request.visits, range: [0, 100]}
  - {name: plan, from: request.plan, transform: [{one_hot: [free, pro]}]}
`);
const ONNX = perceptron({ inputs: 3, hidden: [], outputs: 1, activation: 'relu', head: 'sigmoid', seed: 3 });

it('hosts many models by the contract of SageMaker, and loads a file again when it changes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-serverless-'));
  try {
    const path = join(folder, 'model.onnx');
    const put = (version: number) =>
      writeFile(path, fuseModel(MANIFEST, ONNX, { version, bundleSha256: 'x'.repeat(version) }).onnx);
    await put(1);
    const ids = randomPredictionIds();
    const errors: unknown[] = [];
    const onError = (error: unknown) => void errors.push(error);
    const source = await openFusedSource({ address: path, everyMs: 1000, ids, onError }, 0);
    await put(2);
    expect((await source.current(999)).version).toBe(1);
    expect((await source.current(1000)).version).toBe(2);
    await writeFile(path, 'not a model at all');
    expect((await source.current(3000)).version).toBe(2);
    expect(errors).toHaveLength(1);
    await put(33);
    const handle = lambdaHandler(source, openPredictionSink(join(folder, 'log')), () => 4000);
    const changed = await handle({ Records: [{ s3: { object: { key: 'model.onnx' } } }] });
    expect(JSON.parse(changed.body)).toEqual({ reloaded: { model: 'churn', version: 33 } });
    const answered = await handle({ request: { visits: 3, plan: 'pro' } });
    const { predictions } = JSON.parse(answered.body) as { predictions: ServerlessPrediction[] };
    const logged = join(folder, 'log/churn/1970-01-01', `${predictions[0]?.prediction_id}.jsonl`);
    expect(JSON.parse(await readFile(logged, 'utf8'))).toEqual({
      ...{ visits: 3, plan: 'pro', prediction_id: predictions[0]?.prediction_id, at: predictions[0]?.at },
      ...{
        model: 'churn',
        version: 33,
        answer: { score: predictions[0]?.score, label: predictions[0]?.label },
      },
    });

    const host = openModelHost(async (url) => {
      const own = await openFusedSource({ address: join(url, 'model.onnx'), everyMs: 1000, ids, onError }, 0);
      return lambdaHandler(own, () => undefined, Date.now);
    });
    await using server = await startSagemakerServer(undefined, { host: '127.0.0.1', port: 0 }, host);
    const models = `http://127.0.0.1:${server.port}/models`;
    const post = (url: string, body: object) =>
      fetch(url, { method: 'POST', body: JSON.stringify(body) }).then(({ status }) => status);
    expect(await post(models, { model_name: 'a', url: folder })).toBe(200);
    expect(await post(models, { model_name: 'a', url: folder })).toBe(409);
    expect(await post(models, { model_name: 'b', url: join(folder, 'none') })).toBe(400);
    expect(await post(models, { nothing: 1 })).toBe(400);
    expect(await (await fetch(models)).json()).toEqual({ models: [{ modelName: 'a', modelUrl: folder }] });
    expect(await post(`${models}/a/invoke`, { request: { visits: 3, plan: 'pro' } })).toBe(200);
    expect(await post(`${models}/b/invoke`, {})).toBe(404);
    expect((await fetch(`${models}/a`, { method: 'DELETE' })).status).toBe(200);
    expect(await (await fetch(models)).json()).toEqual({ models: [] });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it('ends with one line when its container starts without a fused file', async () => {
  const main = join(import.meta.dirname, 'main.ts');
  const env = { ...process.env, HOTLOOP_FUSED: join(tmpdir(), 'hotloop-no-such-file.onnx') };
  const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
    execFile(process.execPath, [main], { env }, (error, _stdout, stderr) =>
      resolve({ code: error?.code, stderr }),
    );
  });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^hotloop: there is no fused file at .*no-such-file\.onnx: make one with .*\n$/);
});

it('answers as a function and by the contract of SageMaker, logs before it answers, and refuses unreadable requests', async () => {
  const { onnx } = fuseModel(MANIFEST, ONNX, { version: 4, bundleSha256: 'x' });
  const logged: ServerlessPrediction[] = [];
  const predictor = await loadFusedPredictor(onnx, randomPredictionIds());
  const handle = lambdaHandler(
    predictor,
    (predictions) => void logged.push(...predictions),
    () => 1000,
  );
  const one = await handle({ request: { visits: 3, plan: 'pro' } });
  expect(one.statusCode).toBe(200);
  const { predictions } = JSON.parse(one.body) as { predictions: ServerlessPrediction[] };
  expect(predictions).toMatchObject([{ model: 'churn', version: 4, score: expect.any(Number) }]);
  expect(logged).toEqual(predictions);

  await using server = await startSagemakerServer(handle, { host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${server.port}`;
  expect((await fetch(`${url}/ping`)).status).toBe(200);
  const instances = [
    { visits: 3, plan: 'pro' },
    { visits: 300, plan: 'pro' },
  ];
  const answer = await fetch(`${url}/invocations`, { method: 'POST', body: JSON.stringify({ instances }) });
  const answered = ((await answer.json()) as { predictions: ServerlessPrediction[] }).predictions;
  expect(answered.map(({ score }) => score)).toEqual([predictions[0]?.score, null]);
  const byKserve = await fetch(`${url}/v1/models/churn:predict`, {
    method: 'POST',
    body: JSON.stringify({ instances }),
  });
  expect(await byKserve.json()).toMatchObject({
    predictions: [{ score: predictions[0]?.score }, { score: null }],
  });
  expect(await (await fetch(`${url}/v1/models/churn`)).json()).toEqual({ name: 'churn', ready: true });

  for (const body of [
    'not json',
    '{}',
    '{"instances": [3]}',
    '{"instances": []}',
    '{"request": {"visits": "3", "plan": "pro"}}',
  ])
    expect((await handle({ body })).statusCode).toBe(400);
  expect(
    await readFile(new URL('../../serverless/kserve-serving-runtime.yaml', import.meta.url), 'utf8'),
  ).toContain('ServingRuntime');
});
