import type { Attributes } from '@hotloop/model/value.ts';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import type { PredictRequest, PredictRequest__Output } from '@hotloop/proto/gen/hotloop/v1/PredictRequest.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attributesFromMessage, attributesToMessage, textsFromMessage } from './attributes.ts';

const service = loadDefinitions(['hotloop/v1/prediction.proto'])['hotloop.v1.PredictionService'];
if (!service || 'format' in service) throw new Error('no service');
const predict = service.Predict;
if (!predict) throw new Error('no method');

/** Encodes and decodes the message. */
const travelled = (request: PredictRequest): PredictRequest__Output =>
  predict.requestDeserialize(predict.requestSerialize(request)) as PredictRequest__Output;

const values = fc.oneof(
  fc.double({ noNaN: true }).map((number) => (Object.is(number, -0) ? 0 : number)),
  fc.string(),
  fc.boolean(),
  fc.array(fc.double({ noNaN: true }), { minLength: 1, maxLength: 3 }),
  fc.array(fc.string(), { minLength: 1, maxLength: 3 }),
);

describe('attributes', () => {
  it('survive encoding and decoding, whatever their names', () => {
    const names = fc.oneof(
      fc.string(),
      fc.constantFrom('constructor', 'toString', 'hasOwnProperty', 'valueOf'),
    );
    fc.assert(
      fc.property(
        fc.dictionary(
          names.filter((name) => name !== '__proto__'),
          values,
          { noNullPrototype: false },
        ),
        (given) => {
          const attributes = Object.assign(Object.create(null) as Record<string, never>, given) as Attributes;
          const { request } = travelled({ request: attributesToMessage(attributes) });
          expect({ ...attributesFromMessage(request) }).toEqual({ ...attributes });
        },
      ),
    );
  });

  it('have only their own names', () => {
    const attributes = attributesFromMessage(travelled({ request: { price: { number: 1 } } }).request);
    expect(Object.getPrototypeOf(attributes)).toBeNull();
    expect(attributes.constructor).toBeUndefined();
    const texts = textsFromMessage(travelled({ entities: { user: 'u' } }).entities);
    expect(Object.getPrototypeOf(texts)).toBeNull();
  });

  it('are safe against a name that would reach the prototype', () => {
    // Field 5 (request): a map entry whose key is __proto__ and whose value is an empty message.
    const key = Buffer.from('__proto__');
    const entry = Buffer.concat([Buffer.from([0x0a, key.length]), key, Buffer.from([0x12, 0x00])]);
    const bytes = Buffer.concat([Buffer.from([0x2a, entry.length]), entry]);
    const message = predict.requestDeserialize(bytes) as PredictRequest__Output;
    const attributes = attributesFromMessage(message.request);
    expect(Object.keys(attributes)).toEqual([]);
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  });

  it('omit a value without a kind', () => {
    expect(Object.keys(attributesFromMessage(travelled({ request: { nothing: {} } }).request))).toEqual([]);
  });
});
