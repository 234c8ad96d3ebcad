import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { openFusedSource } from './fused-source.ts';
import { type LambdaEvent, lambdaHandler } from './lambda-handler.ts';
import { openPredictionSink } from './prediction-sink.ts';

const { HOTLOOP_FUSED, HOTLOOP_LOG_TO, HOTLOOP_RELOAD_S = '30', LAMBDA_TASK_ROOT = '.' } = process.env;

const source = openFusedSource(
  {
    address: HOTLOOP_FUSED ?? `${LAMBDA_TASK_ROOT}/model.onnx`,
    everyMs: Number(HOTLOOP_RELOAD_S) * 1000,
    ids: randomPredictionIds(),
    onError: (error) => process.stderr.write(`the model could not be loaded again: ${String(error)}\n`),
  },
  Date.now(),
);
const log = openPredictionSink(HOTLOOP_LOG_TO);

/** The handler for AWS Lambda. The file is loaded while the function starts. */
export async function handler(event: LambdaEvent) {
  return lambdaHandler(await source, log, Date.now)(event);
}
