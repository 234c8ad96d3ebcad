import type { PoolClient } from '@hotloop/platform/postgres/pool.ts';

/** What was shown of one prediction. */
export interface Shown {
  readonly items: ReadonlySet<string>;
  /** The logged probability that a candidate was shown; undefined where it is not known. */
  propensityOf(item: string): number | undefined;
}

const SHOWN = 'SELECT prediction_id, shown FROM decision WHERE prediction_id BETWEEN $1 AND $2';

/** The candidates that were shown, by prediction, for predictions in the order of their ids. */
export async function readShown(
  client: PoolClient,
  predictions: readonly { readonly predictionId: string }[],
): Promise<Map<string, Shown>> {
  const { rows } = await client.query<{ prediction_id: string; shown: unknown }>(SHOWN, [
    predictions[0]?.predictionId,
    predictions.at(-1)?.predictionId,
  ]);
  const wanted = new Set(predictions.map(({ predictionId }) => predictionId));
  const shown = new Map<string, Shown>();
  for (const row of rows) {
    if (!wanted.has(row.prediction_id)) continue;
    const entries = Array.isArray(row.shown) ? row.shown.flatMap(entryOf) : [];
    if (entries.length === 0) continue;
    const propensities = new Map(entries);
    shown.set(row.prediction_id, {
      items: new Set(propensities.keys()),
      propensityOf: (item) => propensities.get(item),
    });
  }
  return shown;
}

function entryOf(entry: unknown): [string, number | undefined][] {
  if (typeof entry === 'string') return [[entry, undefined]];
  if (typeof entry !== 'object' || entry === null || !('id' in entry) || typeof entry.id !== 'string')
    return [];
  const propensity = 'propensity' in entry ? entry.propensity : undefined;
  const isProbability = typeof propensity === 'number' && propensity > 0 && propensity <= 1;
  return [[entry.id, isProbability ? propensity : undefined]];
}
