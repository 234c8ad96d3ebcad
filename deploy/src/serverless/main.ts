import { readFile } from 'node:fs/promises';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { loadFusedPredictor } from './fused-predictor.ts';
import { lambdaHandler } from './lambda-handler.ts';
import { startSagemakerServer } from './sagemaker-server.ts';

/** A container that serves one fused file by SageMaker's contract; every prediction is one line on stdout. */
const { HOTLOOP_FUSED = '/opt/ml/model/model.onnx', PORT = '8080' } = process.env;
const predictor = await loadFusedPredictor(await readFile(HOTLOOP_FUSED), randomPredictionIds());
const handle = lambdaHandler(
  predictor,
  (predictions) => {
    for (const prediction of predictions) process.stdout.write(`${JSON.stringify(prediction)}\n`);
  },
  Date.now,
);
const server = await startSagemakerServer(handle, { host: '0.0.0.0', port: Number(PORT) });
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.once(signal, () => void server[Symbol.asyncDispose]());
