import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import {
  fromPostgresError,
  type Pool,
  type PoolClient,
  transaction,
} from '@hotloop/platform/postgres/pool.ts';
import { shadowIdOf } from '@hotloop/proto/shadow-id.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import type { LabelledExample } from '../datasets/join.ts';
import { readLabels } from '../datasets/read-labels.ts';
import { readManifest } from '../registry/version-store.ts';
import { deviationOf } from './answer-quality.ts';
import { type ComparisonSums, compareBeforeAfter, comparePairs, compareSplit } from './compare-quality.ts';
import { knownAt, type PredictionRow, qualityOfRow, readPredictions } from './judged-answers.ts';
import type { Rollout } from './rollout.ts';
import { type SliceNames, sliceNames } from './slice-names.ts';

export interface QualityFacts {
  readonly sums: ComparisonSums;
  /** The same for each slice that a guard names. */
  readonly slices: ReadonlyMap<string, ComparisonSums>;
  /** Outcomes of both versions per day, at the rate since the step began. */
  readonly outcomesPerDay: number;
}

/**
 * Reads the matured outcomes of the candidate and the live version, joined as for a dataset, in the order in which they became
 * known. Null for a model without labels (task tensor).
 */
export async function readQuality(pool: Pool, rollout: Rollout, now: number): Promise<QualityFacts | null> {
  try {
    return await transaction(pool, (client) => read(client, rollout, now), { isolation: 'repeatable read' });
  } catch (error) {
    throw fromPostgresError(error);
  }
}

type Known = {
  readonly quality: number;
  readonly knownAt: number;
  readonly at: number;
  readonly version: number;
  /** The probability with which this version was chosen to answer. */
  readonly propensity: number;
  readonly slices: readonly string[];
};

async function read(client: PoolClient, rollout: Rollout, now: number): Promise<QualityFacts | null> {
  const { model, version, fromVersion, state } = rollout;
  if (fromVersion === null) return null;
  const manifest = await readManifest(client, model, version);
  if (manifest.task === 'tensor') return null;
  const begun = (await servingSince(client, rollout.rolloutId)) ?? rollout.stepAt;
  const since = state === 'live' ? (rollout.flippedAt ?? now) - lookBackMs(manifest) : begun;
  const predictions = await readPredictions(client, {
    ...{ model, versions: [version, fromVersion], since },
    withFeatures: rollout.plan.guards?.slices !== undefined,
  });
  // A shadow's answer is not shown; its outcomes are those of the live answer to the same request.
  const asked = predictions.filter(({ variant }) => variant !== 'shadow');
  const { examples: labels } = await readLabels(client, manifest, asked, now);
  const deviation = deviationOf(manifest, labels);
  const known: Known[] = [];
  const slicesOf = sliceNames(manifest, rollout.plan.guards?.slices ?? []);
  const qualityOf = (row: PredictionRow, examples: readonly LabelledExample[], isPaired: boolean) =>
    qualityOfRow(manifest, row, examples, { deviation, isPaired });
  if (state === 'shadow') return pairs(predictions, labels, rollout, { qualityOf, slicesOf }, begun, now);
  for (const row of predictions) {
    const examples = labels.get(row.prediction_id);
    if (!examples || row.variant === 'shadow') continue;
    const quality = qualityOf(row, examples, false);
    if (quality === null) continue;
    known.push({
      quality,
      knownAt: knownAt(examples, manifest),
      at: Number(row.at_ms),
      version: row.version,
      propensity: row.propensity,
      slices: slicesOf(row.features),
    });
  }
  known.sort((a, b) => a.knownAt - b.knownAt);
  const outcomesPerDay = perDay(known.length, since, now);
  if (state === 'live') {
    const flippedAt = rollout.flippedAt ?? now;
    const compare = (all: readonly Known[]) => {
      const of = (wanted: number | null, isAfter: boolean) =>
        all
          .filter((one) => one.version === wanted && one.at >= flippedAt === isAfter)
          .map((one) => one.quality);
      return compareBeforeAfter(of(version, true), of(fromVersion, false));
    };
    return { sums: compare(known), slices: bySlice(known, compare), outcomesPerDay };
  }
  // Answers with probability 1 were not part of the split: a service did not know of it yet, or no longer.
  const split = known
    .filter(({ propensity }) => propensity < 1)
    .map(({ version: answering, quality, propensity, slices }) =>
      answering === version
        ? { version: 'candidate' as const, quality, share: propensity, slices }
        : { version: 'live' as const, quality, share: 1 - propensity, slices },
    );
  return { sums: compareSplit(split), slices: bySlice(split, compareSplit), outcomesPerDay };
}

/** The comparison within each slice. */
function bySlice<T extends { readonly slices: readonly string[] }>(
  all: readonly T[],
  compare: (some: readonly T[]) => ComparisonSums,
): ReadonlyMap<string, ComparisonSums> {
  const parts = new Map<string, T[]>();
  for (const one of all)
    for (const slice of one.slices) {
      const part = parts.get(slice);
      if (part) part.push(one);
      else parts.set(slice, [one]);
    }
  return new Map([...parts].map(([slice, part]) => [slice, compare(part)]));
}

interface PairRules {
  readonly qualityOf: (
    row: PredictionRow,
    examples: readonly LabelledExample[],
    isPaired: boolean,
  ) => number | null;
  readonly slicesOf: SliceNames;
}

function pairs(
  predictions: readonly PredictionRow[],
  labels: ReadonlyMap<string, readonly LabelledExample[]>,
  { version }: Rollout,
  { qualityOf, slicesOf }: PairRules,
  begun: number,
  now: number,
): QualityFacts {
  const shadows = new Map<string, PredictionRow>();
  for (const row of predictions)
    if (row.variant === 'shadow' && row.version === version)
      shadows.set(shadowIdOf(row.prediction_id, version), row);
  const found = predictions.flatMap((row) => {
    const shadow = shadows.get(row.prediction_id);
    const examples = labels.get(row.prediction_id);
    if (!shadow || !examples || row.variant === 'shadow') return [];
    const [candidate, live] = [qualityOf(shadow, examples, true), qualityOf(row, examples, true)];
    return candidate === null || live === null ? [] : [{ candidate, live, slices: slicesOf(row.features) }];
  });
  return {
    sums: comparePairs(found),
    slices: bySlice(found, comparePairs),
    outcomesPerDay: perDay(2 * found.length, begun, now),
  };
}

function lookBackMs({ outcome }: Manifest): number {
  return Math.max(DAY_MS, 2 * durationMs(outcome.window));
}

function perDay(outcomes: number, since: number, now: number): number {
  return (outcomes * DAY_MS) / Math.max(1, now - since);
}

/** When it first received requests; undefined before that. */
async function servingSince(client: PoolClient, rolloutId: string): Promise<number | undefined> {
  const { rows } = await client.query<{ at: Date | null }>(
    "SELECT min(at) AS at FROM rollout_event WHERE rollout_id = $1 AND traffic ->> 'kind' <> 'load'",
    [rolloutId],
  );
  return rows[0]?.at?.getTime();
}
