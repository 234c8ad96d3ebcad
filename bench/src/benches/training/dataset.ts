import { COLLECT_DEFAULTS } from '@hotloop/retrainer/datasets/collect-dataset.ts';
import { datasetCollector } from '@hotloop/retrainer/datasets/dataset-collector.ts';
import { modelRules } from '@hotloop/retrainer/outcomes/model-rules.ts';
import type { BenchOptions } from '../../bench.ts';
import { type Figure, figure } from '../../figure.ts';
import { openLoopStand } from '../../stand/loop-stand.ts';

const MODEL = 'collected';
const PREDICTIONS = 2_000_000;
const COLLECT_MS = 600_000;

/**
 * A dataset from the given number of logged predictions (`--rows`), with an outcome each: `dataset_rows_s`, rows per
 * second of joining and writing, and `dataset_mb`, the peak memory of the process that does it.
 */
export async function datasetBench({ rows = PREDICTIONS, say }: BenchOptions): Promise<Figure[]> {
  await using stand = await openLoopStand();
  say(`logging ${rows} predictions with an outcome each`);
  await stand.push(MODEL, '{window: 1d, otherwise: 0}');
  await stand.fill(MODEL, rows, 'id');
  const { pool, objects, databaseUrl } = stand;
  const collector = datasetCollector({ pool, objects, databaseUrl, waitMs: 0 });
  const { manifest } = modelRules(stand.registry).of(MODEL);
  const limits = { timeoutMs: COLLECT_MS };
  const collected = await collector.collect(manifest, 1, Date.now(), COLLECT_DEFAULTS, limits);
  if (collected.examples !== rows) throw new Error(`${collected.examples} rows were collected`);
  const { seconds = Number.NaN, peakMb = Number.NaN } = collected;
  say(`${collected.examples} rows in ${seconds.toFixed(1)} s, at most ${Math.round(peakMb)} MB`);
  return [
    figure('dataset_rows_s', [collected.examples / seconds], { atLeast: 100_000 }),
    figure('dataset_mb', [peakMb], { atMost: 600 }),
  ];
}
