import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { HOUR_MS } from '@hotloop/proto/time-units.ts';
import { declaredMissing, judgeFeatures } from './signals/judge-features.ts';
import type { Signal } from './signals/signal.ts';
import { sketchLayout } from './sketches/feature-sketch.ts';
import { listSlices, readBaseline, readSketches, SPANS } from './sketches/sketch-store.ts';
import { MOST_SLICES, sliceFeatures } from './slices.ts';

const WEEK_MS = 168 * HOUR_MS;

/**
 * Compares the features of each slice with the same slice in training, or in the week before. All slices together may raise as many
 * false alarms as the whole: the rate of each is divided by their number.
 */
export async function evaluateSlices(pool: Pool, live: VersionRecord, now: number): Promise<Signal[]> {
  const { model, version, manifest } = live;
  const slicing = new Set(sliceFeatures(manifest));
  if (slicing.size === 0) return [];
  const { monitor } = manifest;
  const since = now - durationMs(monitor.drift.window);
  const slices = (await listSlices(pool, model, version, since)).slice(0, MOST_SLICES);
  const whole = sketchLayout(manifest);
  // Within a slice by country the country is constant, so that feature is judged only over all rows.
  const layout = { ...whole, features: whole.features.filter(({ name }) => !slicing.has(name)) };
  const strict = {
    ...monitor,
    drift: { ...monitor.drift, false_alarms: monitor.drift.false_alarms / Math.max(1, slices.length) },
  };
  const signals: Signal[] = [];
  for (const slice of slices) {
    const shared = { model, versions: [version], span: SPANS.hour, slice };
    const current = await readSketches(pool, { ...shared, since, until: now + HOUR_MS });
    const stored = await readBaseline(pool, model, version, slice);
    const baseline =
      stored?.sketches ?? (await readSketches(pool, { ...shared, since: since - WEEK_MS, until: since }));
    const judged = judgeFeatures({
      ...{ layout, current, baseline, monitor: strict, maxMissing: declaredMissing(manifest) },
      against: stored ? 'training' : 'the week before',
    });
    for (const signal of judged.signals)
      signals.push({ ...signal, slice, message: `where ${slice}: ${signal.message}` });
  }
  return signals;
}
