import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import type { InferItem } from '@hotloop/proto/gen/hotloop/v1/InferItem.ts';
import type { PredictRequest } from '@hotloop/proto/gen/hotloop/v1/PredictRequest.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import type { FramedItem } from '../load/framed-load.ts';
import { type BenchModel, benchRows, rowElements } from './bench-models.ts';

export const INFER_STREAM = '/hotloop.v1.InferenceService/InferStream';
export const PREDICT_STREAM = '/hotloop.v1.PredictionService/PredictStream';

/** Takes four bytes as a varint, and is easy to find in the encoded item. */
const SEQUENCE = 2 ** 28 - 1;
const SEQUENCE_BYTES = Buffer.from([0xff, 0xff, 0xff, 0x7f]);
const ID_DIGITS = 36;
const LAST_DIGITS = 8;

/** An item of compute's own stream, as the preprocessor sends it. */
export function inferItem(model: BenchModel, rows = 1, version = 1): FramedItem {
  const predictionId = randomPredictionIds().next(Date.now());
  const item: InferItem = {
    sequence: SEQUENCE,
    predictionId,
    model: model.name,
    version,
    variant: 'live',
    entities: { user: 'u1' },
    rows,
    columns: rowElements(model),
    features: Buffer.from(benchRows(model, rows).buffer),
    statuses: Buffer.alloc(rows * rowElements(model)),
    timeoutMs: 10_000,
  };
  const bytes = serialize('hotloop/v1/inference.proto', 'hotloop.v1.InferenceService', 'InferStream', {
    items: [item],
  });
  const idAt = bytes.indexOf(predictionId) + ID_DIGITS - LAST_DIGITS;
  return { bytes, sequenceAt: bytes.indexOf(SEQUENCE_BYTES), idAt };
}

/** An item of the preprocessor's stream. */
export function predictItem(request: PredictRequest): FramedItem {
  const item = { sequence: SEQUENCE, request };
  const bytes = serialize('hotloop/v1/prediction.proto', 'hotloop.v1.PredictionService', 'PredictStream', {
    items: [item],
  });
  return { bytes, sequenceAt: bytes.indexOf(SEQUENCE_BYTES), idAt: undefined };
}

function serialize(file: string, name: string, method: string, message: object): Buffer {
  const service = loadDefinitions([file])[name];
  const definition = service === undefined || 'format' in service ? undefined : service[method];
  if (definition === undefined) throw new RangeError(`${name} has no ${method}`);
  return definition.requestSerialize(message);
}
