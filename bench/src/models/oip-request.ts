import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import { type BenchModel, benchRows } from './bench-models.ts';

/** Paths of the Open Inference Protocol. */
export const OIP = {
  unary: '/inference.GRPCInferenceService/ModelInfer',
  stream: '/inference.GRPCInferenceService/ModelStreamInfer',
} as const;

/** The bytes of a ModelInferRequest with raw contents; without an id, so that each one sent is logged separately. */
export function oipRequest(model: BenchModel, rows = 1, served = model.name): Buffer {
  const service = loadDefinitions(['inference/grpc_service.proto'])['inference.GRPCInferenceService'];
  if (service === undefined || 'format' in service) throw new RangeError('the protocol has no such service');
  const method = service.ModelInfer;
  if (method === undefined) throw new RangeError('the service has no ModelInfer');
  return method.requestSerialize({
    modelName: served,
    inputs: [{ name: model.input, datatype: 'FP32', shape: [rows, ...model.row] }],
    rawInputContents: [Buffer.from(benchRows(model, rows).buffer)],
  });
}

/** A ModelStreamInferResponse with an error starts with its message, field 1, which is otherwise empty. */
export function isOipFailure(reply: Buffer): boolean {
  return reply[0] === 0x0a && reply[1] !== 0;
}
