import { ValueSketch } from '@hotloop/model/statistics/value-sketch.ts';
import type { Bench, BenchOptions } from '../bench.ts';
import { type Figure, figure } from '../figure.ts';
import { besideNannyml } from './monitoring/beside-nannyml.ts';
import { monitorCost } from './monitoring/monitor-cost.ts';
import { peerAgreement } from './monitoring/peer-agreement.ts';

const VALUES = 1_000_000;

const PARTS: Readonly<Record<string, Bench>> = {
  agreement: async ({ say }) => {
    const agreement = await peerAgreement(say);
    await besideNannyml(say);
    return agreement === null ? [] : [figure('peer_agreement', [agreement], { atMost: 1e-6 })];
  },
  sketches: async (options) => [sketchRate(options)],
  cost: async (options) => {
    const { perProcessor, perClock } = await monitorCost(options);
    return [figure('monitor_cost', perProcessor, { atLeast: 0.95 }), figure('monitor_cost_clock', perClock)];
  },
};

/**
 * The correctness of monitoring's statistics, the speed of summarizing feature values on one core, and the cost of
 * monitoring for serving; `--only` runs one of the parts.
 */
export const monitoringBench: Bench = async (options) => {
  const { only } = options;
  if (only !== undefined && !Object.hasOwn(PARTS, only))
    throw new RangeError(`monitoring has the parts ${Object.keys(PARTS).join(', ')}, not ${only}`);
  const figures: Figure[] = [];
  for (const [name, part] of Object.entries(PARTS))
    if (only === undefined || only === name) figures.push(...(await part(options)));
  return figures;
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
