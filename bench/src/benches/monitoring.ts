import { ValueSketch } from '@hotloop/model/statistics/value-sketch.ts';
import type { Bench, BenchOptions } from '../bench.ts';
import { type Figure, figure } from '../figure.ts';
import { besideNannyml } from './monitoring/beside-nannyml.ts';
import { monitorCost } from './monitoring/monitor-cost.ts';
import { peerAgreement } from './monitoring/peer-agreement.ts';

const VALUES = 1_000_000;

/**
 * The cost of monitoring for serving, the speed of summarizing feature values on one core, and the correctness of its
 * statistics.
 */
export const monitoringBench: Bench = async (options) => {
  const agreement = await peerAgreement(options.say);
  await besideNannyml(options.say);
  const { perProcessor, perClock } = await monitorCost(options);
  return [
    sketchRate(options),
    ...(agreement === null ? [] : [figure('peer_agreement', [agreement], { atMost: 1e-6 })]),
    figure('monitor_cost', perProcessor, { atLeast: 0.95 }),
    figure('monitor_cost_clock', perClock),
  ];
};

function sketchRate({ rounds, seconds }: Pick<BenchOptions, 'rounds' | 'seconds'>): Figure {
  const values = Float32Array.from({ length: VALUES }, (_v, at) => Math.sin(at) * 1000);
  const rates: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const end = performance.now() + seconds * 1000;
    const start = performance.now();
    let done = 0;
    while (performance.now() < end) {
      const sketch = new ValueSketch();
      sketch.addColumn(values);
      done += sketch.count;
    }
    rates.push((done * 1000) / (performance.now() - start));
  }
  return figure('sketch_rows_s', rates, { atLeast: 5_000_000 });
}
