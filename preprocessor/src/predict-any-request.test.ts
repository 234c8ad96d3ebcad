import { record } from '@hotloop/model/testing/manifests.ts';
import type { ErrorCode, HotloopError } from '@hotloop/proto/errors.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PredictionRequest } from './prediction.ts';
import { asked, call, openPredictor, refusal } from './testing/open-predictor.ts';

const ids = randomPredictionIds();
const names = fc.oneof(
  fc.constantFrom('price', 'user', 'item', '__proto__', 'constructor'),
  fc.string({ unit: 'binary', maxLength: 300 }),
);
const values = fc.oneof(
  fc.double(),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.boolean(),
  fc.array(fc.double(), { maxLength: 2 }),
);
const attributes = fc.dictionary(names, values, { maxKeys: 4 }).map((given) => record(given));

const sound = fc.constantFrom<PredictionRequest>(
  asked(),
  asked({ model: 'plain', version: '1' }),
  asked({ model: 'ranker', candidates: [{ id: 'a', attributes: record({ price: 1 }) }] }),
);

const anything: { [K in keyof PredictionRequest]: fc.Arbitrary<PredictionRequest[K]> } = {
  model: fc.oneof(fc.constantFrom('ranker', 'raw', 'broken'), fc.string({ unit: 'binary', maxLength: 200 })),
  version: fc.oneof(fc.constantFrom('live', 'previous', '-1', '1e9'), fc.string({ maxLength: 60 })),
  predictionId: fc.oneof(
    fc.uuid(),
    fc.string({ maxLength: 60 }),
    fc.constant(0).map(() => ids.next(Date.now())),
  ),
  entities: fc.dictionary(names, fc.string({ unit: 'binary', maxLength: 300 }), { maxKeys: 20 }).map(record),
  request: attributes,
  candidates: fc.array(
    fc.record({ id: fc.oneof(fc.constantFrom('a', 'b', 'c'), fc.string({ unit: 'binary' })), attributes }),
    { maxLength: 5 },
  ),
  wantFeatureStatuses: fc.boolean(),
  traceparent: fc.string({ maxLength: 80 }),
};

/** A valid request in which some fields contain arbitrary values. */
const arbitraryRequest: fc.Arbitrary<PredictionRequest> = fc
  .tuple(
    sound,
    fc.record(anything, { requiredKeys: [] }),
    fc.subarray(Object.keys(anything), { maxLength: 3 }),
  )
  .map(([request, given, kept]) => ({
    ...request,
    ...Object.fromEntries(Object.entries(given).filter(([name]) => kept.includes(name))),
  }));

const CALLERS_FAULT: ReadonlySet<ErrorCode> = new Set([
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'FAILED_PRECONDITION',
]);
const LONGEST_MESSAGE = 600;

describe('any request', () => {
  it('is answered with a valid decision, or rejected as the caller’s fault with a short message; no state is left behind', async () => {
    let answered = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(arbitraryRequest, async (request) => {
        const { predictor, tracing, inference } = openPredictor();
        const outcome = await predictor.predict(request, call()).then(
          (answer) => answer,
          (error: HotloopError) => error,
        );
        if (outcome instanceof Error) {
          refused++;
          expect(CALLERS_FAULT.has(outcome.code), `${outcome.code}: ${outcome.message}`).toBe(true);
          expect(outcome.message.length).toBeLessThan(LONGEST_MESSAGE);
        } else {
          answered++;
          expect(Number.isFinite(outcome.decision.score)).toBe(true);
          const features = new Float32Array(new Uint8Array(inference.items[0]?.features ?? []).buffer);
          expect(features.every(Number.isFinite)).toBe(true);
        }
        expect(predictor.inFlight).toBe(0);
        expect(tracing.spans.every(({ ended }) => ended === 1)).toBe(true);
      }),
      { numRuns: 500 },
    );
    expect(Math.min(answered, refused)).toBeGreaterThan(50);
  });

  it('fails the check if a caller is blamed for an internal error', async () => {
    const { predictor, inference } = openPredictor();
    inference.infer = () => Promise.reject(new TypeError('a bug'));
    await expect(refusal(predictor.predict(asked(), call()))).rejects.toThrow('a bug');
  });
});
