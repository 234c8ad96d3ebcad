import { HISTORY_AGE_MS } from '@hotloop/model/features/history.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { EventArchive } from '@hotloop/platform/archive/event-archive.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import { type EventsOf, entityKey, eventsOfEntities } from './events-of-entities.ts';
import { type Recomputation, recomputationOf, type ServedRequest } from './recompute-features.ts';

export interface ParityDependencies {
  readonly pool: Pool;
  readonly archive: Pick<EventArchive, 'read'>;
  readonly manifestOf: (model: string, version: number) => Manifest | undefined;
}

export interface ParityOptions {
  readonly model: string;
  readonly sinceMs: number;
  /** Later requests are skipped, because their events may not be archived yet. */
  readonly untilMs: number;
  readonly most: number;
}

export interface FeatureParity {
  readonly feature: string;
  readonly differing: number;
  /** The first request that differs, with the value that was served. */
  readonly firstPrediction: string;
  readonly served: number;
  readonly recomputed: number;
}

export interface Parity {
  readonly compared: number;
  readonly equal: number;
  /** Requests that could not be compared: answered without history, or without vectors in the log. */
  readonly skipped: number;
  /** The features that differ, most frequent first. */
  readonly disagreeing: readonly FeatureParity[];
  /** The compared features. */
  readonly features: readonly string[];
}

/** Number of requests whose entities' events are in memory at the same time. */
const SLICE = 5000;

interface LoggedRow {
  readonly prediction_id: string;
  readonly at: Date;
  readonly version: number;
  readonly entities: Record<string, string>;
  readonly candidates: string[];
  readonly rows: number;
  readonly features: Buffer | null;
  readonly degraded: string[];
}

/**
 * Recomputes the features of logged requests from archived events and compares them with the served vectors. Processes requests in
 * slices; the events of a slice's entities are in memory. Throws FAILED_PRECONDITION if no version has features from history.
 */
export async function checkParity(
  { pool, archive, manifestOf }: ParityDependencies,
  { model, sinceMs, untilMs, most }: ParityOptions,
): Promise<Parity> {
  const recomputations = new Map<number, Recomputation | null>();
  const recomputation = (version: number): Recomputation | null => {
    const known = recomputations.get(version);
    if (known !== undefined) return known;
    const manifest = manifestOf(model, version);
    const made = (manifest && recomputationOf(manifest)) ?? null;
    recomputations.set(version, made);
    return made;
  };
  const totals = { compared: 0, equal: 0, skipped: 0 };
  const found = new Map<string, FeatureParity>();
  let after = firstPredictionIdAt(sinceMs);
  for (let left = most; left > 0; ) {
    const { rows } = await pool.query<LoggedRow>(
      `SELECT prediction_id, at, version, entities, candidates, "rows", features, degraded FROM prediction
       WHERE model = $1 AND prediction_id > $2 AND prediction_id < $3 AND error_code IS NULL
       ORDER BY prediction_id LIMIT $4`,
      [model, after, firstPredictionIdAt(untilMs), Math.min(left, SLICE)],
    );
    if (rows.length === 0) break;
    left -= rows.length;
    after = rows.at(-1)?.prediction_id ?? after;
    const requests = rows.flatMap((row) => {
      const made = recomputation(row.version);
      const request = made === null ? undefined : servedOf(row, made.columns);
      return made === null || request === undefined ? [] : [{ request, made }];
    });
    totals.skipped += rows.length - requests.length;
    const eventsOf = await eventsOfSlice(archive, requests);
    for (const { request, made } of requests) {
      const differences = made.differences(request, eventsOf);
      totals.compared++;
      if (differences.length === 0) totals.equal++;
      for (const { feature, served, recomputed } of differences) {
        const first = found.get(feature);
        const base = first ?? { feature, firstPrediction: request.predictionId, served, recomputed };
        found.set(feature, { ...base, differing: (first?.differing ?? 0) + 1 });
      }
    }
  }
  const features = [...recomputations.values()].flatMap((made) => made?.features ?? []);
  if (recomputations.size > 0 && features.length === 0)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${model} has no feature that comes from history alone, so nothing can be recomputed from events`,
      { reason: 'no_history_features' },
    );
  const disagreeing = [...found.values()].sort((a, b) => b.differing - a.differing);
  return { ...totals, disagreeing, features: [...new Set(features)] };
}

function servedOf(row: LoggedRow, columns: number): ServedRequest | undefined {
  const { features, rows, degraded } = row;
  if (degraded.includes('history') || features?.length !== 4 * rows * columns) return undefined;
  return {
    predictionId: row.prediction_id,
    atMs: row.at.getTime(),
    ...{ entities: row.entities, candidates: row.candidates, rows },
    features: new Float32Array(Uint8Array.from(features).buffer),
  };
}

/** The events of all entities of a slice, newest first. */
async function eventsOfSlice(
  archive: Pick<EventArchive, 'read'>,
  slice: readonly { readonly request: ServedRequest; readonly made: Recomputation }[],
): Promise<EventsOf> {
  const wanted = new Set<string>();
  for (const { request } of slice) {
    for (const [entity, id] of Object.entries(request.entities)) wanted.add(entityKey(entity, id));
    for (const id of request.candidates) wanted.add(entityKey('item', id));
  }
  const times = slice.map(({ request }) => request.atMs);
  if (times.length === 0) return () => [];
  return eventsOfEntities(archive, wanted, {
    sinceMs: times.reduce((a, b) => Math.min(a, b)) - HISTORY_AGE_MS,
    untilMs: Number.MAX_SAFE_INTEGER,
    types: [...new Set(slice.flatMap(({ made }) => made.types))],
  });
}
