import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import { openFusedSource } from './fused-source.ts';
import { lambdaHandler } from './lambda-handler.ts';
import { openModelHost } from './model-host.ts';
import { openPredictionSink } from './prediction-sink.ts';
import { startSagemakerServer } from './sagemaker-server.ts';

/**
 * A container with SageMaker's interface: one fused file, or, if HOTLOOP_FUSED is `multi`, those that SageMaker
 * loads.
 */
const {
  HOTLOOP_FUSED = '/opt/ml/model/model.onnx',
  PORT = '8080',
  HOTLOOP_LOG_TO,
  HOTLOOP_RELOAD_S = '30',
} = process.env;
const log = openPredictionSink(HOTLOOP_LOG_TO);
const ids = randomPredictionIds();
const onError = (error: unknown) =>
  process.stderr.write(`the model could not be loaded again: ${String(error)}\n`);
const open = (address: string) =>
  openFusedSource({ address, everyMs: Number(HOTLOOP_RELOAD_S) * 1000, ids, onError }, Date.now());
const host = openModelHost(async (folder) =>
  lambdaHandler(await open(`${folder}/model.onnx`), log, Date.now),
);
const end = (error: unknown): never => {
  process.stderr.write(`hotloop: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
};
const handle =
  HOTLOOP_FUSED === 'multi' ? undefined : lambdaHandler(await open(HOTLOOP_FUSED).catch(end), log, Date.now);
const server = await startSagemakerServer(handle, { host: '0.0.0.0', port: Number(PORT) }, host);
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.once(signal, () => void server[Symbol.asyncDispose]());
