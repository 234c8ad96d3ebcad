import { openMetrics } from '@hotloop/platform/telemetry/metrics.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { expect, it } from 'vitest';
import { measurePredictions } from './measure-predictions.ts';
import type { Predictor } from './predict.ts';

it('counts by version, variant and caller, with a limited number of labels for a thousand users and versions', async () => {
  await using metrics = openMetrics('test');
  let version = 2;
  const answering = {
    predict: async ({ model }: { model: string }) => {
      if (model !== 'm') throw new HotloopError('NOT_FOUND', 'no such model');
      return { model: 'm', version, variant: 'live', degraded: [], predictionId: '' };
    },
    inFlight: 0,
    [Symbol.dispose]() {},
  } as unknown as Predictor;
  using measured = measurePredictions(answering, metrics.tallies, (name) => name === 'm');
  type Request = Parameters<Predictor['predict']>[0];
  type Call = Parameters<Predictor['predict']>[1];
  const ask = (model: string, caller: string) =>
    measured.predict({ model } as Request, { caller } as Call).catch(() => undefined);
  await ask('m', 'shop');
  await ask('m', 'shop');
  await ask('secret-name-of-a-caller', 'shop');
  for (let user = 0; user < 1_000; user++) await ask('m', `user-${user}`);
  const scraped = async () =>
    (await metrics.scrape()).text
      .split('\n')
      .filter((line) => line.startsWith('hotloop_predictions_by_caller_total{'));
  const lines = await scraped();
  expect(lines).toContain(
    'hotloop_predictions_by_caller_total{hotloop_model="m",hotloop_version="2",hotloop_variant="live",hotloop_caller="shop",hotloop_code="OK"} 2',
  );
  expect(lines).toContain(
    'hotloop_predictions_by_caller_total{hotloop_model="unknown",hotloop_version="",hotloop_variant="",hotloop_caller="shop",hotloop_code="NOT_FOUND"} 1',
  );
  expect(lines).toHaveLength(52);
  expect(lines.find((line) => line.includes('hotloop_caller="other"'))).toMatch(/ 951$/);
  for (version = 3; version < 100; version++)
    for (let user = 0; user < 50; user++) await ask('m', `user-${user}`);
  const bounded = await scraped();
  expect(bounded).toHaveLength(2_001);
  // What is beyond the bound is counted all the same.
  const total = bounded.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  expect(total).toBe(1_003 + 97 * 50);
});
