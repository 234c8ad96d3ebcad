import { eventList } from '@hotloop/model/features/event-list.ts';
import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { trainingSettings } from '@hotloop/model/training/training-settings.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import { initialModel } from '@hotloop/retrainer/training/initial-model.ts';
import { trainInProcess } from '@hotloop/retrainer/training/trainer-process.ts';
import { type KnownMovie, knownMovies, movieFields, movieManifest, ratingFields } from './movie-model.ts';
import { divide, type Movie, mostRated, type Rating } from './ratings.ts';

const TIMEOUT_MS = 300_000;
const CANDIDATES = 1000;
/** Of one viewer. */
const MOST_POSITIVES = 40;
const LEAST_NEGATIVES = 20;
const NEGATIVES_FOR_ONE = 4;

/**
 * Version 1 of the ranking, learnt from known ratings alone: of each viewer's, the first three quarters are the history and
 * the rest is what the viewer rated next; films that the viewer did not rate are drawn as counterexamples.
 */
export async function firstMovieVersion(
  movies: ReadonlyMap<string, Movie>,
  known: ReadonlyMap<string, readonly Rating[]>,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const manifest = parseManifest(movieManifest());
  const plan = compileFeaturePlan(manifest);
  const inner = divide(
    [...known.values()].flat().sort((a, b) => a.atMs - b.atMs),
    0.75,
  );
  const films = knownMovies(movies, inner.known);
  const candidates = mostRated(inner.known, CANDIDATES).map(({ id }) => id);
  const random = new SeededRandom(3);
  const parts: Float32Array[] = [];
  const labels: number[] = [];
  for (const [user, past] of inner.known) {
    const seen = new Set(past.map(({ item }) => item));
    const next = new Set(inner.later.get(user)?.map(({ item }) => item));
    const unseen = candidates.filter((id) => !seen.has(id));
    const positives = unseen.filter((id) => next.has(id)).slice(0, MOST_POSITIVES);
    const negatives = unseen
      .filter((id) => !next.has(id))
      .map((id) => ({ id, at: random.uniform() }))
      .sort((a, b) => a.at - b.at)
      .slice(0, Math.max(LEAST_NEGATIVES, NEGATIVES_FOR_ONE * positives.length))
      .map(({ id }) => id);
    const ids = [...positives, ...negatives];
    if (ids.length === 0) continue;
    const input = {
      ...{ request: bare<AttributeValue>({}), entities: bare({ user }) },
      candidates: ids.map((id) => ({ id, attributes: bare<AttributeValue>({}) })),
    };
    const events = eventList(eventsOf(past, films));
    const { features } = plan.run(
      input,
      plan.reads(input, 0).map(() => events),
      0,
      ids.map((id) => ({ atMs: 0, fields: bare(movieFields(films.get(id) as KnownMovie)) })),
    );
    parts.push(new Float32Array(features.buffer, features.byteOffset, features.byteLength / 4));
    labels.push(...positives.map(() => 1), ...negatives.map(() => 0));
  }
  const features = new Float32Array(labels.length * plan.columns);
  let offset = 0;
  for (const part of parts) {
    features.set(part, offset);
    offset += part.length;
  }
  const trained = await trainInProcess(
    {
      modelBytes: initialModel({ features: plan.columns, task: 'ranking', hidden: [64, 32], seed: 1 }),
      dataset: {
        ...{ rows: labels.length, columns: plan.columns, features },
        labels: Float32Array.from(labels),
        weights: new Float32Array(labels.length).fill(1),
      },
      settings: { ...trainingSettings(manifest), epochs: 30, validationFraction: 0.1, patience: 4 },
    },
    { timeoutMs: TIMEOUT_MS, signal },
  );
  return trained.modelBytes;
}

/** Newest first; only their order matters here, as no feature has a window. */
function eventsOf(past: readonly Rating[], films: ReadonlyMap<string, KnownMovie>) {
  return past
    .map((rating, index) => ({
      id: String(index),
      atMs: index - past.length,
      fields: bare(ratingFields(rating, films.get(rating.item) as KnownMovie)),
    }))
    .reverse();
}

function bare<Value>(values: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.assign(Object.create(null) as Record<string, Value>, values);
}
