import { manifestOf, record } from '@hotloop/model/testing/manifests.ts';
import { type Clock, systemClock } from '@hotloop/platform/clock.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { memoryRegistry } from '@hotloop/platform/registry/memory-registry.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { randomPredictionIds } from '@hotloop/proto/prediction-id.ts';
import type { AdmissionLimits } from '../admission.ts';
import { createExplainer } from '../explain.ts';
import { HistoryGate } from '../history/history-gate.ts';
import { MemoryHistory } from '../history/memory-history.ts';
import { createImageDecoder } from '../images/decode-images.ts';
import { createPredictor } from '../predict.ts';
import type { PredictionCall, PredictionRequest } from '../prediction.ts';
import { ThresholdDecision } from './memory-decision.ts';
import { LogisticInference } from './memory-inference.ts';
import { MemoryTracing } from './memory-tracing.ts';
import { versionRecord } from './version-record.ts';

const SHOPPER = manifestOf({
  name: 'shopper',
  features: [
    { name: 'price', from: 'request.price' },
    { name: 'views', from: 'history.user.view.count', missing: -1 },
  ],
});
export const PLAIN = manifestOf({ name: 'plain', features: [{ name: 'price', from: 'request.price' }] });
export const RANKER = manifestOf({
  name: 'ranker',
  task: 'ranking',
  features: [
    { name: 'price', from: 'item.price' },
    { name: 'popular', from: 'history.item.view.count', missing: 0 },
  ],
  decision: { rank: { exclude: 'history.user.buy.item' } },
});
const TENSOR = manifestOf({ name: 'raw', task: 'tensor', features: [] });
const BROKEN = manifestOf({ name: 'broken', features: [{ name: 'who', from: 'entity.user' }] });

/** A predictor with memory adapters and models of every kind; `plain` has no live version. */
export function openPredictor(options: { limits?: Partial<AdmissionLimits>; clock?: Clock } = {}) {
  const registry = memoryRegistry();
  for (const manifest of [SHOPPER, PLAIN, RANKER, TENSOR, BROKEN])
    registry.set({
      name: manifest.name,
      liveVersion: manifest === PLAIN ? null : 1,
      previousVersion: null,
      targetVersion: null,
      generation: 1,
      versions: new Map([[1, versionRecord(manifest)]]),
    });
  registry.publish();
  const clock = options.clock ?? systemClock;
  const store = new MemoryHistory();
  const inference = new LogisticInference();
  const decision = new ThresholdDecision();
  const tracing = new MemoryTracing();
  const history = new HistoryGate(store, clock, silentLog());
  const images = createImageDecoder();
  const explainer = createExplainer(registry, history, clock, images);
  const predictor = createPredictor(
    { registry, history, images, inference, decision, tracing, clock },
    {
      limits: { maxInFlight: 10, maxCellsInFlight: 1000, ...options.limits },
      ids: randomPredictionIds(),
      log: silentLog(),
    },
  );
  return { registry, store, inference, decision, tracing, history, predictor, explainer };
}

/** A request for the model `shopper`, with the given changes. */
export const asked = (given: Partial<PredictionRequest> = {}): PredictionRequest => ({
  model: 'shopper',
  version: '',
  predictionId: '',
  candidates: [],
  wantFeatureStatuses: false,
  traceparent: '',
  ...given,
  entities: record(given.entities ?? { user: 'u1' }),
  request: record(given.request ?? { price: 2 }),
});

export const call = (given: Partial<PredictionCall> = {}): PredictionCall => ({
  caller: 'shop',
  timeoutMs: 1000,
  signal: new AbortController().signal,
  ...given,
});

/** The HotloopError of a rejected promise; throws any other error. */
export async function refusal(promise: Promise<unknown>): Promise<HotloopError> {
  const error = await promise.then(
    () => new Error('nothing was refused'),
    (reason: unknown) => reason,
  );
  if (error instanceof HotloopError) return error;
  throw error;
}
