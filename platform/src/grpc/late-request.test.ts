import type { ServiceDefinition } from '@grpc/grpc-js';
import { HOTLOOP_FILES, loadDefinitions } from '@hotloop/proto/definitions.ts';
import { describe, expect, it } from 'vitest';
import { type LateRequest, lateRequest } from './late-request.ts';
import { UnreadableRequest } from './unreadable-request.ts';

type Named = { readonly model: string };
const service = loadDefinitions([...HOTLOOP_FILES])['hotloop.v1.PredictionService'] as ServiceDefinition;
const { requestSerialize, requestDeserialize } = service.Predict as ServiceDefinition[string];
const unreadable = new UnreadableRequest('PredictRequest');

/** The late request of these bytes, and how often it was decoded. */
function late(bytes: Buffer) {
  let decoded = 0;
  const request = lateRequest<Named>(bytes, (given) => {
    decoded++;
    try {
      return requestDeserialize(given) as Named;
    } catch {
      return unreadable;
    }
  });
  return { request: request as LateRequest<Named>, decoded: () => decoded };
}

describe('a request that is decoded late', () => {
  it('names its model before the rest is decoded', () => {
    for (const model of ['m', 'größe', 'x'.repeat(300), 'y'.repeat(100_000)]) {
      const { request, decoded } = late(requestSerialize({ model, version: '3' }));
      expect([request.model, decoded()]).toEqual([model, 0]);
      expect(request.read()).toMatchObject({ model, version: '3' });
      expect(decoded()).toBe(1);
    }
  });

  it('is decoded at once when its model does not come first', () => {
    const [model, version] = [{ model: 'm' }, { version: '3' }].map((part) => requestSerialize(part));
    const { request, decoded } = late(Buffer.concat([version as Buffer, model as Buffer]));
    expect([request.model, decoded()]).toEqual(['m', 1]);
    expect(request.read()).toMatchObject({ model: 'm', version: '3' });
    expect(decoded()).toBe(1);
  });

  it('gives the model of the whole request, which counts, when the field is repeated', () => {
    const { request } = late(Buffer.concat(['a', 'b'].map((model) => requestSerialize({ model }))));
    expect([request.model, request.read().model]).toEqual(['a', 'b']);
  });

  it('is refused at the latest when it is read, when its bytes are not a request', () => {
    for (const text of ['garbage', '\n', '\n\u00ff\u00ff\u00ff\u00ff\u00ff'])
      expect(late(Buffer.from(text, 'latin1')).request, JSON.stringify(text)).toBe(unreadable);
    const { request } = late(Buffer.from('\n\u0001m\u000f'));
    expect(request.model).toBe('m');
    expect(() => request.read()).toThrow('cannot be read as a PredictRequest');
  });

  it('without any bytes is a request without a model', () => {
    expect(late(Buffer.alloc(0)).request.model).toBe('');
  });
});
