import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { shadowIdOf } from '@hotloop/proto/shadow-id.ts';
import { type SketchedFeature, sketchLayout } from '../../monitoring/sketches/feature-sketch.ts';
import { readBaseline } from '../../monitoring/sketches/sketch-store.ts';
import { listVersions } from '../../registry/version-store.ts';
import { type LoggedOutputs, loggedNumbers } from '../../rollouts/logged-outputs.ts';

const BATCH = 2_000;
/** Values outside of what all but a fiftieth of the training rows had count as drifted. */
const RARE = 0.01;

interface Answered extends LoggedOutputs {
  readonly prediction_id: string;
}

/** Predictions whose copy, answered by a shadow version, has an output that differs by at least this; by id. */
export async function disagreeing(
  pool: Pool,
  model: string,
  rows: readonly Answered[],
  least: number,
): Promise<ReadonlySet<string>> {
  const versions = await listVersions(pool, model);
  const found = new Set<string>();
  for (let from = 0; from < rows.length; from += BATCH) {
    const copies = new Map<string, Answered>();
    for (const row of rows.slice(from, from + BATCH))
      for (const { version } of versions) copies.set(shadowIdOf(row.prediction_id, version), row);
    const { rows: shadows } = await pool.query<Answered>(
      `SELECT prediction_id, outputs, output_spec FROM prediction
       WHERE prediction_id = ANY ($1::uuid[]) AND model = $2 AND variant = 'shadow' AND error_code IS NULL AND outputs IS NOT NULL`,
      [[...copies.keys()], model],
    );
    for (const shadow of shadows) {
      const row = copies.get(shadow.prediction_id);
      if (row && distance(row, shadow) >= least) found.add(row.prediction_id);
    }
  }
  return found;
}

function distance(a: LoggedOutputs, b: LoggedOutputs): number {
  if (a.outputs === null) return 0;
  const [own, other] = [loggedNumbers(a, undefined), loggedNumbers(b, undefined)];
  if (own === null || other === null || own.length !== other.length) return 0;
  return own.reduce((most, value, index) => Math.max(most, Math.abs(value - other[index]!)), 0);
}

/** Whether a logged row's value of a feature is rare in the training rows of its version. */
export type IsDrifted = (features: Float32Array) => boolean;

/**
 * Reads the baseline of a version for one feature: a number has drifted outside of its 1st to 99th percentile, a category that fewer than
 * a hundredth of the rows had. Throws INVALID_ARGUMENT for no such feature, FAILED_PRECONDITION for a version without a baseline.
 */
export async function driftedTest(
  pool: Pool,
  manifest: Manifest,
  version: number,
  feature: string,
): Promise<IsDrifted> {
  const layout = sketchLayout(manifest);
  const place = layout.features.find(({ name }) => name === feature);
  if (!place || place.kind === 'wide' || layout.width === 0)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `drifted: ${JSON.stringify(feature.slice(0, 80))} is no number or category of model ${manifest.name}; there are ` +
        layout.features.map(({ name }) => name).join(', '),
      { reason: 'no_such_feature' },
    );
  const sketch = (await readBaseline(pool, manifest.name, version))?.sketches.get(feature);
  if (!sketch)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `version ${version} of model ${manifest.name} has no baseline of ${feature} yet: train it here, or let monitoring see some traffic`,
      { reason: 'no_baseline' },
    );
  if (place.kind === 'number') {
    const [low, high] = [sketch.values.quantile(RARE), sketch.values.quantile(1 - RARE)];
    return (row) => row[place.offset]! < low || row[place.offset]! > high;
  }
  const { categories, rows } = sketch;
  return (row) => (categories[categoryOf(row, place)] ?? 0) < RARE * rows;
}

function categoryOf(row: Float32Array, { offset, width }: SketchedFeature): number {
  for (let column = 0; column < width; column++) if (row[offset + column]! > 0.5) return column;
  return width;
}
