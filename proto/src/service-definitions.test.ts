import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOTLOOP_FILES, loadDefinitions } from './definitions.ts';
import { loadServiceDefinitions } from './service-definitions.ts';

const FILES = ['hotloop/v1/prediction.proto', 'hotloop/v1/inference.proto', 'hotloop/v1/decision.proto'];
const generic = loadDefinitions(FILES);
const direct = loadServiceDefinitions(FILES);

function methodOf(definitions: typeof generic, service: string, name: string) {
  const definition = definitions[service];
  const method = definition && !('format' in definition) ? definition[name] : undefined;
  if (!method) throw new Error(`no ${service}.${name}`);
  return method;
}

/** Half of all fields are omitted, null or undefined. */
const message = <T extends object>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(
    Object.fromEntries(
      Object.entries<fc.Arbitrary<unknown>>(fields).map(([name, field]) => [
        name,
        fc.oneof({ weight: 6, arbitrary: field }, fc.constant(undefined), fc.constant(null)),
      ]),
    ),
    { requiredKeys: [] },
  );
/** Exactly one of the fields, or none. */
const oneOf = (fields: Record<string, fc.Arbitrary<unknown>>) =>
  fc.oneof(
    fc.constant({}),
    ...Object.entries(fields).map(([name, field]) => field.map((value) => ({ [name]: value }))),
  );

const text = fc.oneof(
  fc.constant(''),
  fc.string(),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.constantFrom('toString', 'hasOwnProperty', '\u{1f600}'),
);
const count = fc.oneof(fc.constant(0), fc.nat(), fc.constant(2 ** 32 - 1));
const number = fc.oneof(fc.double(), fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY));
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
);
const list = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 4 });
const map = <T>(value: fc.Arbitrary<T>) => fc.dictionary(text, value, { maxKeys: 4 });

const value = oneOf({
  number,
  text,
  flag: fc.boolean(),
  numbers: message({ values: list(number) }),
  texts: message({ values: list(text) }),
});
const candidate = message({ id: text, attributes: map(value) });
const tensor = message({
  name: text,
  datatype: text,
  shape: list(fc.oneof(fc.integer(), fc.maxSafeInteger())),
  contents: bytes,
});
const failure = message({ code: count, message: text, reason: text });
const ranked = message({ id: text, rank: count, score: number, propensity: number });
const decision = message({ label: text, score: number, scores: list(number), ranked: list(ranked) });
const predictRequest = message({
  model: text,
  version: text,
  predictionId: text,
  entities: map(text),
  request: map(value),
  candidates: list(candidate),
  timeoutMs: count,
  wantFeatureStatuses: fc.boolean(),
  traceparent: text,
});
const predictReply = message({
  predictionId: text,
  model: text,
  version: count,
  variant: text,
  decision,
  featureStatuses: list(message({ feature: text, status: text, candidate: text })),
  degraded: list(text),
});
const inferItem = message({
  sequence: count,
  predictionId: text,
  model: text,
  version: count,
  variant: text,
  caller: text,
  entities: map(text),
  candidates: list(text),
  rows: count,
  columns: count,
  features: bytes,
  statuses: bytes,
  timeoutMs: count,
  degraded: list(text),
  sampled: fc.boolean(),
  priority: count,
});
const inferOutput = message({ outputs: list(tensor), queueUs: count, runUs: count });
const decideRequest = message({
  predictionId: text,
  model: text,
  version: count,
  variant: text,
  outputs: list(tensor),
  candidates: list(candidate),
  request: map(value),
  entities: map(text),
  excluded: list(text),
  timeoutMs: count,
  sampled: fc.boolean(),
});
const numbered = (result: fc.Arbitrary<object>) =>
  fc.tuple(count, result).map(([sequence, given]) => ({ sequence, ...given }));
const frame = (item: fc.Arbitrary<unknown>) => message({ items: list(item), cancelled: list(count) });
const replyFrame = (result: Record<string, fc.Arbitrary<unknown>>) =>
  message({ items: list(numbered(oneOf({ ...result, failure }))), draining: fc.boolean() });

const CASES: readonly (readonly [string, string, fc.Arbitrary<object>, fc.Arbitrary<object>])[] = [
  ['hotloop.v1.PredictionService', 'Predict', predictRequest, predictReply],
  [
    'hotloop.v1.PredictionService',
    'PredictStream',
    frame(message({ sequence: count, request: predictRequest })),
    replyFrame({ reply: predictReply }),
  ],
  ['hotloop.v1.InferenceService', 'InferStream', frame(inferItem), replyFrame({ output: inferOutput })],
  ['hotloop.v1.DecisionService', 'Decide', decideRequest, message({ decision })],
  [
    'hotloop.v1.DecisionService',
    'DecideStream',
    frame(message({ sequence: count, request: decideRequest })),
    replyFrame({ decision }),
  ],
];

describe('definitions for services', () => {
  it.each(CASES)('encode the messages of %s %s so that they decode as those of the loader', (...given) => {
    const [service, name, requests, replies] = given;
    const theirs = methodOf(generic, service, name);
    const ours = methodOf(direct, service, name);
    fc.assert(
      fc.property(requests, (request) => {
        const written = ours.requestSerialize(request);
        expect(ours.requestDeserialize(written)).toEqual(
          theirs.requestDeserialize(theirs.requestSerialize(request)),
        );
      }),
      { numRuns: 150 },
    );
    fc.assert(
      fc.property(replies, (reply) => {
        const written = ours.responseSerialize(reply);
        expect(ours.responseDeserialize(written)).toEqual(
          theirs.responseDeserialize(theirs.responseSerialize(reply)),
        );
      }),
      { numRuns: 150 },
    );
  });

  it('differ when one value of a message is lost (check of the comparison)', () => {
    const { requestSerialize, requestDeserialize } = methodOf(
      direct,
      'hotloop.v1.InferenceService',
      'InferStream',
    );
    const all = requestDeserialize(requestSerialize({ items: [{ sequence: 1, rows: 2 }] }));
    expect(requestDeserialize(requestSerialize({ items: [{ sequence: 1 }] }))).not.toEqual(all);
  });

  it('leave all other methods, and the reflection, as loaded', () => {
    const theirs = loadDefinitions(HOTLOOP_FILES);
    const ours = loadServiceDefinitions(HOTLOOP_FILES);
    expect(Object.keys(ours)).toEqual(Object.keys(theirs));
    const before = methodOf(theirs, 'hotloop.v1.PredictionService', 'PredictStream');
    const after = methodOf(ours, 'hotloop.v1.PredictionService', 'PredictStream');
    const { requestSerialize: _, responseSerialize: __, ...rest } = after;
    expect(before.requestType.fileDescriptorProtos).toEqual(rest.requestType.fileDescriptorProtos);
    expect(rest).toMatchObject({ path: before.path, requestStream: true, responseStream: true });
    const batch = methodOf(ours, 'hotloop.v1.PredictionService', 'PredictBatch');
    const { requestSerialize, requestDeserialize } = batch;
    expect(requestDeserialize(requestSerialize({ requests: [{ model: 'm' }] }))).toMatchObject({
      requests: [{ model: 'm' }],
    });
  });
});
