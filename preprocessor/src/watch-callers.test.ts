import type { InferItem } from '@hotloop/platform/ports/inference.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { expect, it } from 'vitest';
import type { SeenMessage } from './event-shapes.ts';
import type { Predictor } from './predict.ts';
import type { Prediction, PredictionCall, PredictionRequest } from './prediction.ts';
import { watchCallers } from './watch-callers.ts';

const NOW = 1_780_000_000_000;
const requestOf = (request: Record<string, string | number>, model = 'm'): PredictionRequest => ({
  ...{ model, version: '', predictionId: '', entities: {}, request, wantFeatureStatuses: false },
  ...{ candidates: [{ id: 'a', attributes: { price: 3 } }], traceparent: '' },
});
const callOf = (caller: string): PredictionCall => ({
  ...{ caller, timeoutMs: 1000 },
  signal: { aborted: false } as PredictionCall['signal'],
});

/** A watched predictor that uses the watched inference, or fails before it does. */
function open(fail: { readonly before?: HotloopError; readonly within?: HotloopError } = {}) {
  const clock = { ms: NOW, now: () => clock.ms, monotonic: () => clock.ms };
  const [seen, refused]: [SeenMessage[], string[]] = [[], []];
  const watched = watchCallers({
    inference: {
      infer: async () => {
        if (fail.within) throw fail.within;
        return { outputs: [], queueUs: 0, runUs: 0 };
      },
    },
    decision: { decide: async () => ({}) as never },
    isModel: (name) => name === 'm',
    countShapes: (messages) => seen.push(...messages),
    countRefused: ({ caller, code, minute }) => refused.push(`${caller} ${code} ${NOW - minute < 60_000}`),
    clock,
  });
  const predictor: Predictor = {
    async predict() {
      if (fail.before) throw fail.before;
      await watched.inference.infer({} as InferItem);
      return {} as Prediction;
    },
    refusal: () => fail.before,
    inFlight: 0,
    [Symbol.dispose]: () => undefined,
  };
  const asked = watched.watch(predictor);
  const ask = (request: PredictionRequest, caller = 'shop') =>
    asked.predict(request, callOf(caller)).catch(() => undefined);
  const isRefused = (model: string) => asked.refusal(model, callOf('shop')) !== undefined;
  return { clock, seen, refused, ask, isRefused };
}

it('counts the fields of some requests per second by caller, and not those of topics', async () => {
  const { clock, seen, ask } = open();
  for (let at = 0; at < 100; at++) await ask(requestOf({ age: 4 }));
  expect(seen).toHaveLength(20);
  expect(seen[0]).toMatchObject({
    ...{ topic: 'caller shop', event: '$request:m', offset: null },
    fields: { age: 4, 'item.price': 3 },
  });
  clock.ms += 1000;
  await ask(requestOf({ age: 4 }));
  await ask(requestOf({ age: 4 }), 'kafka:asks');
  await ask(requestOf({ age: 4 }, 'nobody'));
  await ask(requestOf({ age: 4 }), '');
  expect(seen.slice(20).map(({ topic }) => topic)).toEqual(['caller shop', 'caller (no key)']);
  for (let at = 0; at < 100; at++) await ask(requestOf({ age: 4 }), `user-${at}`);
  expect(new Set(seen.map(({ topic }) => topic)).size).toBe(51);
  expect(seen.at(-1)!.topic).toBe('caller other');
});

it('counts calls rejected before the model, and not failures of the model, which are in the log', async () => {
  const before = open({ before: new HotloopError('INVALID_ARGUMENT', 'no number') });
  await before.ask(requestOf({ age: 'x' }));
  await before.ask(requestOf({ age: 'x' }, 'nobody'));
  expect(before.refused).toEqual(['shop INVALID_ARGUMENT true']);
  expect([before.isRefused('m'), before.isRefused('nobody')]).toEqual([true, true]);
  expect(before.refused).toHaveLength(2);
  expect(before.seen[0]!.fields).toMatchObject({ age: 'x' });
  const full = open({ within: new HotloopError('RESOURCE_EXHAUSTED', 'the queue is full') });
  await full.ask(requestOf({ age: 4 }));
  expect(full.refused).toEqual(['shop RESOURCE_EXHAUSTED true']);
  const failed = open({ within: new HotloopError('INTERNAL', 'the model failed') });
  await failed.ask(requestOf({ age: 4 }));
  expect(failed.refused).toEqual([]);
});
