import { ValueSketch } from '@hotloop/model/statistics/value-sketch.ts';
import type { Bench } from '../bench.ts';
import { figure } from '../figure.ts';

const VALUES = 1_000_000;

/** How fast feature values are summarised, on one core. The cost to serving and agreement with peers are not measured yet. */
export const monitoringBench: Bench = async ({ rounds, seconds }) => {
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
  return [figure('sketch_rows_s', rates, { atLeast: 5_000_000 })];
};
