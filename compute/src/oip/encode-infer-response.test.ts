import { DATATYPES } from '@hotloop/model/tensor.ts';
import { loadOipDefinitions } from '@hotloop/proto/definitions.ts';
import type { ModelInferResponse } from '@hotloop/proto/gen/inference/ModelInferResponse.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeInferResponse, encodeStreamFailure } from './encode-infer-response.ts';
import { hotDefinitions } from './hot-definitions.ts';
import type { OipAnswer } from './oip-request.ts';

const SERVICE = 'inference.GRPCInferenceService';
const service = hotDefinitions(loadOipDefinitions(), SERVICE)[SERVICE];
if (service === undefined || 'format' in service || !service.ModelInfer || !service.ModelStreamInfer)
  throw new Error('no definition');
const { ModelInfer, ModelStreamInfer } = service;

const text = fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: 'binary', maxLength: 200 }));
const answers: fc.Arbitrary<OipAnswer> = fc.record({
  model: text,
  version: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  id: text,
  predictionId: fc.uuid({ version: 7 }),
  outputs: fc.array(
    fc.record({
      name: text,
      datatype: fc.constantFrom(...DATATYPES),
      shape: fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { maxLength: 6 }),
      contents: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
    }),
    { maxLength: 4 },
  ),
});

/** An answer in the form that the generic encoder takes. */
function toGrpcResponse(answer: OipAnswer): ModelInferResponse {
  return {
    modelName: answer.model,
    modelVersion: String(answer.version),
    id: answer.id,
    parameters: { prediction_id: { stringParam: answer.predictionId } },
    outputs: answer.outputs.map(({ name, datatype, shape }) => ({ name, datatype, shape: [...shape] })),
    rawOutputContents: answer.outputs.map((output) => output.contents as Buffer),
  };
}

describe('the direct answer encoder', () => {
  it('writes what the generic decoder reads back', () => {
    fc.assert(
      fc.property(answers, (answer) => {
        const generic = ModelInfer.responseSerialize(toGrpcResponse(answer));
        const encoded = ModelInfer.responseSerialize(encodeInferResponse(answer, 'unary'));
        expect(ModelInfer.responseDeserialize(encoded)).toEqual(ModelInfer.responseDeserialize(generic));
      }),
    );
  });

  it('marks each answer of a stream as final', () => {
    fc.assert(
      fc.property(answers, (answer) => {
        const response = toGrpcResponse(answer);
        response.parameters = { ...response.parameters, triton_final_response: { boolParam: true } };
        const message = { errorMessage: '', inferResponse: response };
        const generic = ModelStreamInfer.responseSerialize(message);
        const encoded = ModelStreamInfer.responseSerialize(encodeInferResponse(answer, 'stream'));
        expect(ModelStreamInfer.responseDeserialize(encoded)).toEqual(
          ModelStreamInfer.responseDeserialize(generic),
        );
      }),
    );
  });

  it('differs when one byte is changed (check of the comparison)', () => {
    const answer: OipAnswer = { model: 'm', version: 1, id: '', predictionId: 'p', outputs: [] };
    const encoded = encodeInferResponse(answer, 'unary');
    encoded[2] = 'n'.charCodeAt(0);
    const right = ModelInfer.responseDeserialize(encodeInferResponse(answer, 'unary'));
    expect(ModelInfer.responseDeserialize(encoded)).not.toEqual(right);
  });

  it('encodes a failure as the generic encoder does', () => {
    fc.assert(
      fc.property(text, text, text, text, (message, id, model, version) => {
        const failure = {
          errorMessage: message,
          inferResponse: { id, modelName: model, modelVersion: version },
        };
        expect(
          ModelStreamInfer.responseDeserialize(encodeStreamFailure({ message, id, model, version })),
        ).toEqual(ModelStreamInfer.responseDeserialize(ModelStreamInfer.responseSerialize(failure)));
      }),
    );
  });
});
