import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { labelRule } from '@hotloop/model/outcome/label-rule.ts';
import {
  fromPostgresError,
  type Pool,
  type PoolClient,
  transaction,
} from '@hotloop/platform/postgres/pool.ts';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import { shadowIdOf } from '@hotloop/proto/shadow-id.ts';
import { CLOCK_SKEW_MS, joinOutcomes, type LabelledExample } from '../datasets/join.ts';
import { outcomeCut, readOutcomesOf } from '../outcomes/outcome-store.ts';
import { type AnsweredRow, answerQuality, deviationOf } from './answer-quality.ts';
import { type ComparisonSums, compareBeforeAfter, comparePairs, compareSplit } from './compare-quality.ts';
import { type LoggedOutputs, loggedNumbers } from './logged-outputs.ts';
import { readManifest } from './read-traffic.ts';
import type { Rollout, RolloutTrafficPart } from './rollout.ts';
import { type SliceNames, sliceNames } from './slice-names.ts';

/** The newest predictions that are looked at. */
const MOST_PREDICTIONS = 100_000;
/** Services learn of a share within a second; answers of this long after a change may still follow the one before. */
const SETTLE_MS = 2_000;
const DAY_MS = 86_400_000;

export interface QualityFacts {
  readonly sums: ComparisonSums;
  /** The same for each part of the requests that a guard names. */
  readonly slices: ReadonlyMap<string, ComparisonSums>;
  /** Outcomes of both versions a day, at the rate since it began. */
  readonly outcomesPerDay: number;
}

/**
 * The outcomes of the candidate and of the live version that have matured, joined as for a dataset, in the order in which they became
 * known. Null for a model without labels (task tensor).
 */
export async function readQuality(pool: Pool, rollout: Rollout, now: number): Promise<QualityFacts | null> {
  if (rollout.fromVersion === null) return null;
  try {
    return await transaction(pool, (client) => read(client, rollout, now), { isolation: 'repeatable read' });
  } catch (error) {
    throw fromPostgresError(error);
  }
}

interface Segment {
  readonly from: number;
  readonly traffic: RolloutTrafficPart | null;
}

type Known = {
  readonly quality: number;
  readonly knownAt: number;
  readonly at: number;
  readonly version: number;
  readonly slices: readonly string[];
};

async function read(client: PoolClient, rollout: Rollout, now: number): Promise<QualityFacts | null> {
  const { model, version, fromVersion, state } = rollout;
  const manifest = await readManifest(client, model, version);
  if (manifest.task === 'tensor') return null;
  const segments = await readSegments(client, rollout.rolloutId);
  const begun =
    segments.find(({ traffic }) => traffic !== null && traffic.kind !== 'load')?.from ?? rollout.stepAt;
  const since = state === 'live' ? (rollout.flippedAt ?? now) - lookBackMs(manifest) : begun;
  const predictions = await readPredictions(client, rollout, since);
  const labels = await readLabels(client, manifest, predictions, now);
  const deviation = deviationOf(manifest, labels);
  const known: Known[] = [];
  const slicesOf = sliceNames(manifest, rollout.plan.guards?.slices ?? []);
  const qualityOf = (row: PredictionRow, examples: readonly LabelledExample[], isPaired: boolean) => {
    const numbers = loggedNumbers(row, manifest.output);
    return numbers === null
      ? null
      : answerQuality(manifest, answered(row, numbers, examples), { deviation, isPaired });
  };
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
  const split = known.flatMap((one) => {
    const share = shareAt(segments, one.at);
    if (share === null) return [];
    return [
      {
        version: one.version === version ? ('candidate' as const) : ('live' as const),
        quality: one.quality,
        share,
        slices: one.slices,
      },
    ];
  });
  return { sums: compareSplit(split), slices: bySlice(split, compareSplit), outcomesPerDay };
}

/** What is compared of all, compared within each slice. */
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

function answered(
  row: PredictionRow,
  numbers: Float64Array,
  examples: readonly LabelledExample[],
): AnsweredRow {
  const labels = new Map(examples.map(({ row: index, label }) => [index, label]));
  return { rows: row.rows, numbers, labels };
}

/** The candidate's share when a prediction was made; null when nothing was split, or the share had just changed. */
function shareAt(segments: readonly Segment[], at: number): number | null {
  const segment = segments.findLast(({ from }) => from <= at);
  if (segment?.traffic?.kind !== 'split' || at < segment.from + SETTLE_MS) return null;
  const share = segment.traffic.arms[0]?.share ?? 0;
  return share > 0 && share < 1 ? share : null;
}

/** When the last of its labels was known. */
function knownAt(examples: readonly LabelledExample[], { outcome }: Manifest): number {
  const windowMs = durationMs(outcome.window);
  return Math.max(...examples.map((example) => example.outcome?.occurredAt ?? example.at + windowMs));
}

function lookBackMs({ outcome }: Manifest): number {
  return Math.max(DAY_MS, 2 * durationMs(outcome.window));
}

function perDay(outcomes: number, since: number, now: number): number {
  return (outcomes * DAY_MS) / Math.max(1, now - since);
}

async function readSegments(client: PoolClient, rolloutId: string): Promise<Segment[]> {
  const { rows } = await client.query<{ at: Date; traffic: RolloutTrafficPart | null }>(
    'SELECT at, traffic FROM rollout_event WHERE rollout_id = $1 ORDER BY sequence',
    [rolloutId],
  );
  const segments: Segment[] = [];
  for (const { at, traffic } of rows) {
    const isSame = JSON.stringify(segments.at(-1)?.traffic ?? null) === JSON.stringify(traffic);
    if (!isSame || segments.length === 0) segments.push({ from: at.getTime(), traffic });
  }
  return segments;
}

interface PredictionRow extends LoggedOutputs {
  readonly prediction_id: string;
  readonly at_ms: string;
  readonly version: number;
  readonly variant: string;
  readonly entities: Record<string, string>;
  readonly candidates: string[];
  readonly rows: number;
  /** Null where no slices are guarded: they are most of a row's bytes. */
  readonly features: Buffer | null;
}

async function readPredictions(
  client: PoolClient,
  { model, version, fromVersion, plan }: Rollout,
  since: number,
): Promise<PredictionRow[]> {
  const { rows } = await client.query<PredictionRow>(
    `SELECT prediction_id, extract(epoch FROM at) * 1000 AS at_ms, version, variant, entities, candidates, "rows", outputs,
       output_spec, CASE WHEN $4 THEN features END AS features FROM prediction
     WHERE prediction_id >= $1 AND model = $2 AND version = ANY($3) AND variant IN ('live', 'canary', 'shadow')
       AND error_code IS NULL AND outputs IS NOT NULL ORDER BY prediction_id DESC LIMIT ${MOST_PREDICTIONS}`,
    [firstPredictionIdAt(since), model, [version, fromVersion], plan.guards?.slices !== undefined],
  );
  return rows.reverse();
}

/** Labels that are final, by prediction. Where only positives are reported, a prediction's label is not known before its window ends. */
async function readLabels(
  client: PoolClient,
  manifest: Manifest,
  predictions: readonly PredictionRow[],
  now: number,
): Promise<Map<string, LabelledExample[]>> {
  const rule = labelRule(manifest);
  const asked = predictions.filter((row) => row.variant !== 'shadow');
  const [first, last] = [asked[0], asked.at(-1)];
  if (!first || !last) return new Map();
  const cut = await outcomeCut(client, manifest.name);
  const joined = joinOutcomes(
    asked.map((row) => ({
      predictionId: row.prediction_id,
      at: Math.round(Number(row.at_ms)),
      entities: row.entities,
      candidates: row.candidates,
      rows: row.rows,
      shown: null,
    })),
    await readOutcomesOf(client, {
      ...{ model: manifest.name, cut, firstId: first.prediction_id, lastId: last.prediction_id },
      keyed: manifest.outcome.join ? [Number(first.at_ms) - CLOCK_SKEW_MS, now + CLOCK_SKEW_MS] : null,
    }),
    {
      keys: manifest.outcome.join ?? [],
      windowMs: durationMs(manifest.outcome.window),
      otherwise: rule.otherwise,
      labelOf: (event) => rule.labelOf(event),
    },
    now,
  );
  const final = rule.isOneSided ? joined.examples.filter(({ open }) => !open) : joined.examples;
  return Map.groupBy(final, (example) => example.predictionId);
}
