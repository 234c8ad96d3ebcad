import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadOipDefinitions } from '@hotloop/proto/definitions.ts';
import type { ModelInferRequest } from '@hotloop/proto/gen/inference/ModelInferRequest.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeInferRequest } from './decode-infer-request.ts';
import { hotDefinitions } from './hot-definitions.ts';

const SERVICE = 'inference.GRPCInferenceService';
const generic = (loadOipDefinitions()[SERVICE] as ServiceDefinition).ModelInfer!;
const hot = (hotDefinitions(loadOipDefinitions(), SERVICE)[SERVICE] as ServiceDefinition).ModelInfer!;

const text = fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: 'binary', maxLength: 200 }));
const requests: fc.Arbitrary<ModelInferRequest> = fc.record({
  modelName: text,
  modelVersion: text,
  id: text,
  inputs: fc.array(
    fc.record({
      name: text,
      datatype: text,
      shape: fc.array(fc.integer({ min: 0, max: 2 ** 48 }), { maxLength: 6 }),
    }),
    { maxLength: 3 },
  ),
  outputs: fc.array(fc.record({ name: text }), { maxLength: 3 }),
  rawInputContents: fc.array(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    { maxLength: 3 },
  ),
});

/** The fields that both decoders return. The generic decoder returns 64-bit numbers as text, and more fields. */
function seen(message: ReturnType<typeof decodeInferRequest>) {
  if (!message) throw new Error('left to the generic decoder');
  const { modelName, modelVersion, id, parameters, inputs, outputs, rawInputContents } = message;
  return {
    modelName,
    modelVersion,
    id,
    parameters: { ...parameters },
    inputs: inputs.map(({ name, datatype, shape, contents }) => ({
      name,
      datatype,
      shape: shape.map(String),
      contents,
    })),
    outputs: outputs.map(({ name }) => ({ name })),
    rawInputContents: rawInputContents.map((contents) => Buffer.from(contents)),
  };
}

describe('the direct request decoder', () => {
  it('returns what the generic decoder returns', () => {
    fc.assert(
      fc.property(requests, (request) => {
        const bytes = generic.requestSerialize(request);
        expect(seen(decodeInferRequest(bytes))).toEqual(seen(generic.requestDeserialize(bytes) as never));
      }),
    );
  });

  it('differs from the generic decoder when one byte is changed (check of the comparison)', () => {
    const bytes = generic.requestSerialize({ modelName: 'm', rawInputContents: [Buffer.from('abc')] });
    const right = seen(decodeInferRequest(bytes));
    bytes[bytes.length - 1] = 0;
    expect(seen(decodeInferRequest(bytes))).not.toEqual(right);
  });

  it.each([
    ['a parameter', { parameters: { priority: { int64Param: 1 } } }],
    ['typed contents', { inputs: [{ name: 'x', contents: { fp32Contents: [1] } }] }],
    ['a parameter of an input', { inputs: [{ name: 'x', parameters: { a: { boolParam: true } } }] }],
    ['a parameter of an output', { outputs: [{ name: 'y', parameters: { a: { boolParam: true } } }] }],
    ['a negative dimension', { inputs: [{ name: 'x', shape: [-1] }] }],
  ])('leaves a request with %s to the generic decoder', (_, request) => {
    const bytes = generic.requestSerialize(request);
    expect(decodeInferRequest(bytes)).toBeUndefined();
    expect(hot.requestDeserialize(bytes)).toEqual(generic.requestDeserialize(bytes));
  });

  it('accepts or rejects truncated and changed bytes as the generic decoder does', () => {
    const outcome = (decode: (bytes: Buffer) => unknown, bytes: Buffer) => {
      try {
        return seen(decode(bytes) as never);
      } catch {
        return 'refused';
      }
    };
    fc.assert(
      fc.property(requests, fc.nat(), fc.nat(255), fc.boolean(), (request, place, byte, cuts) => {
        const whole = generic.requestSerialize(request);
        const bytes = cuts ? whole.subarray(0, place % (whole.length + 1)) : Buffer.from(whole);
        if (!cuts && bytes.length > 0) bytes[place % bytes.length] = byte;
        expect(outcome(hot.requestDeserialize, bytes)).toEqual(outcome(generic.requestDeserialize, bytes));
      }),
      { numRuns: 2000 },
    );
  });
});
