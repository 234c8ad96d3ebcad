import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { labelRule } from '@hotloop/model/outcome/label-rule.ts';
import type { PoolClient } from '@hotloop/platform/postgres/pool.ts';
import { outcomeCut, readOutcomesOf } from '../outcomes/outcome-store.ts';
import { CLOCK_SKEW_MS, joinOutcomes, type LabelledExample } from './join.ts';

/** A row of the prediction log, as far as its labels depend on it. */
export interface LabelledPrediction {
  readonly prediction_id: string;
  /** Milliseconds since 1970. */
  readonly at_ms: string;
  readonly entities: Record<string, string>;
  readonly candidates: string[];
  readonly rows: number;
}

export interface Labels {
  /** By prediction id. */
  readonly examples: ReadonlyMap<string, readonly LabelledExample[]>;
  /** Number of outcomes that belong to none of the predictions. */
  readonly unmatched: number;
}

/**
 * The final labels of logged predictions of one model, which are in the order of their ids, ascending or descending. If
 * outcomes report positives alone, the labels of a prediction are final when its window has ended.
 */
export async function readLabels(
  client: PoolClient,
  manifest: Manifest,
  predictions: readonly LabelledPrediction[],
  now: number,
): Promise<Labels> {
  const [one, other] = [predictions[0], predictions.at(-1)];
  if (!one || !other) return { examples: new Map(), unmatched: 0 };
  const [first, last] = one.prediction_id < other.prediction_id ? [one, other] : [other, one];
  const rule = labelRule(manifest);
  const keys = manifest.outcome.join ?? [];
  const cut = await outcomeCut(client, manifest.name);
  const joined = joinOutcomes(
    predictions.map((row) => ({
      predictionId: row.prediction_id,
      at: Math.round(Number(row.at_ms)),
      entities: row.entities,
      candidates: row.candidates,
      rows: row.rows,
      shown: null,
    })),
    await readOutcomesOf(client, {
      ...{ model: manifest.name, cut, firstId: first.prediction_id, lastId: last.prediction_id },
      keyed: keys.length === 0 ? null : [Number(first.at_ms) - CLOCK_SKEW_MS, now + CLOCK_SKEW_MS],
    }),
    {
      keys,
      windowMs: durationMs(manifest.outcome.window),
      otherwise: rule.otherwise,
      labelOf: (event) => rule.labelOf(event),
    },
    now,
  );
  const final = rule.isOneSided ? joined.examples.filter(({ open }) => !open) : joined.examples;
  return {
    examples: Map.groupBy(final, (example) => example.predictionId),
    unmatched: joined.unmatched.length,
  };
}
