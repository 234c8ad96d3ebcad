import { readFile } from 'node:fs/promises';
import { fuseModel } from '@hotloop/model/fused/fuse-model.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { expect, it } from 'vitest';
import { loadFusedPredictor, type ServerlessPrediction } from './fused-predictor.ts';
import { lambdaHandler } from './lambda-handler.ts';
import { startSagemakerServer } from './sagemaker-server.ts';

const MANIFEST = parseManifest(`name: churn
decision: {labels: [stays, leaves]}
features:
  - {name: visits, from: request.visits, range: [0, 100]}
  - {name: plan, from: request.plan, transform: [{one_hot: [free, pro]}]}
`);
const ONNX = perceptron({ inputs: 3, hidden: [], outputs: 1, activation: 'relu', head: 'sigmoid', seed: 3 });

it('answers as a function and by the contract of SageMaker, logs before it answers, and refuses what it cannot read', async () => {
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
