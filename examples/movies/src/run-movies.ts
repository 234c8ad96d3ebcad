import { setTimeout as delay } from 'node:timers/promises';
import type { HotloopClient } from '@hotloop/client';
import type { EventProducer } from '@hotloop/platform/kafka/producer.ts';
import { firstMovieVersion } from './first-version.ts';
import {
  type KnownMovie,
  knownMovies,
  movieFields,
  movieManifest,
  movieTable,
  ratingFields,
} from './movie-model.ts';
import { bootstrap, type Interval, ndcgAtTen, precisionAtTen } from './ranking-quality.ts';
import { divide, type Movie, mostRated, type Rating } from './ratings.ts';

const BATCH = 5000;
const POLL_MS = 50;
const SPAN_MS = 60 * 86_400_000;
const PARALLEL = 4;
const ASK_AGAIN = 5;

export interface MoviesPlatform {
  readonly client: HotloopClient;
  readonly producer: EventProducer;
  /** URL of the front door over HTTP. */
  readonly frontDoor: string;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface MoviesQuality {
  readonly viewers: number;
  readonly precision: number;
  readonly ndcg: number;
  readonly popularPrecision: number;
  readonly popularNdcg: number;
  /** Of the ranking over popularity, each viewer compared with itself. */
  readonly precisionGain: Interval;
  readonly ndcgGain: Interval;
  /** Films shown to viewers who had rated them: must be 0. */
  readonly watchedShown: number;
  /** Predictions that had to do without history or table: must be 0. */
  readonly degraded: number;
}

/**
 * Uploads the films, learns and promotes version 1, streams the known ratings through Kafka, asks for each viewer's ten films among the
 * most rated ones, and compares them with what the viewer rated next; popularity ranks the same films in the same run.
 */
export async function runMovies(
  platform: MoviesPlatform,
  movies: ReadonlyMap<string, Movie>,
  ratings: readonly Rating[],
  candidateCount = 1000,
): Promise<MoviesQuality> {
  const { client, say, signal } = platform;
  const { known, later } = divide(ratings);
  const films = knownMovies(movies, known);
  const rows = [...films.values()].map((film) => JSON.stringify({ item: film.id, ...movieFields(film) }));
  await uploadMovies(platform, `${rows.join('\n')}\n`);
  say(`${rows.length} films uploaded`);
  const onnx = await firstMovieVersion(movies, known, signal);
  const { version } = await client.models.push({ manifestYaml: movieManifest(), onnx }).finished();
  await client.models.promote('movies', version.version).finished();
  say('version 1 is live');
  const sent = await streamRatings(platform, [...known.values()].flat(), films, Date.now());
  say(`${sent} ratings came in through Kafka`);
  const candidates = mostRated(known, candidateCount).map(({ id }) => id);
  return await judge(client, known, later, candidates);
}

async function uploadMovies({ frontDoor, signal }: MoviesPlatform, jsonLines: string): Promise<void> {
  const send = async (method: string, path: string, type: string, body: string) => {
    const response = await fetch(`${frontDoor}${path}`, {
      ...{ method, body, signal },
      headers: { 'content-type': type },
    });
    if (!response.ok) throw new Error(`${method} ${path} was answered ${await response.text()}`);
  };
  await send('PUT', '/v1/tables/movies', 'application/json', JSON.stringify(movieTable()));
  await send('POST', '/v1/tables/movies/versions', 'application/x-ndjson', jsonLines);
}

/** Waits until the feature `rated` counts for each viewer as many as were sent. */
async function settled(
  { frontDoor, signal }: MoviesPlatform,
  expected: ReadonlyMap<string, number>,
): Promise<void> {
  for (const [user, count] of expected)
    while ((await ratedBy(frontDoor, user, signal)) < count) await delay(POLL_MS, undefined, { signal });
}

async function ratedBy(frontDoor: string, user: string, signal: AbortSignal): Promise<number> {
  const response = await fetch(`${frontDoor}/v1/models/movies/explain`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ entities: { user }, candidates: [{ id: '1' }] }),
    signal,
  });
  if (!response.ok) throw new Error(`features cannot be explained: ${await response.text()}`);
  const { features } = (await response.json()) as {
    features: readonly { feature: string; raw: readonly unknown[] }[];
  };
  return Number(features.find(({ feature }) => feature === 'rated')?.raw[0] ?? 0);
}

/**
 * Their times are moved: the first is 60 days old, the last is now, in their order. A batch is sent when the one before it is in the history,
 * because the broker of a local start keeps 5 MB of a partition.
 */
async function streamRatings(
  platform: MoviesPlatform,
  ratings: readonly Rating[],
  films: ReadonlyMap<string, KnownMovie>,
  nowMs: number,
): Promise<number> {
  const ordered = ratings.toSorted((a, b) => a.atMs - b.atMs);
  const messageOf = (rating: Rating, index: number) => {
    const time = new Date(nowMs - Math.floor(SPAN_MS * (1 - index / ordered.length))).toISOString();
    const id = `${rating.user}-${rating.item}`;
    const data = { entity: { user: rating.user }, ...ratingFields(rating, filmOf(films, rating.item)) };
    const head = { specversion: '1.0', id, source: '/movielens', type: 'rating', time };
    return { key: rating.user, value: JSON.stringify({ ...head, data }) };
  };
  const counts = new Map<string, number>();
  for (let from = 0; from < ordered.length; from += BATCH) {
    const batch = ordered.slice(from, from + BATCH);
    await platform.producer.send(
      'hotloop.events',
      batch.map((rating, index) => messageOf(rating, from + index)),
    );
    for (const { user } of batch) counts.set(user, (counts.get(user) ?? 0) + 1);
    const touched = new Set(batch.map(({ user }) => user));
    await settled(platform, new Map([...counts].filter(([user]) => touched.has(user))));
  }
  await settled(platform, counts);
  return ordered.length;
}

async function judge(
  client: HotloopClient,
  known: ReadonlyMap<string, readonly Rating[]>,
  later: ReadonlyMap<string, readonly Rating[]>,
  candidates: readonly string[],
): Promise<MoviesQuality> {
  const one = async (user: string) => {
    const input = { user, candidates: candidates.map((id) => ({ id })) };
    let prediction = await client.predict('movies', input);
    // Without its history the platform cannot know what was rated; it says so, and the page asks again.
    for (let again = 0; again < ASK_AGAIN && prediction.degraded.length > 0; again++)
      prediction = await client.predict('movies', input);
    const seen = new Set(known.get(user)?.map(({ item }) => item));
    const wanted = new Set(later.get(user)?.map(({ item }) => item));
    const shown = prediction.ranked.map(({ id }) => id);
    const popular = candidates.filter((id) => !seen.has(id)).slice(0, 10);
    return {
      precision: precisionAtTen(shown, wanted),
      ndcg: ndcgAtTen(shown, wanted),
      popularPrecision: precisionAtTen(popular, wanted),
      popularNdcg: ndcgAtTen(popular, wanted),
      watched: shown.filter((id) => seen.has(id)).length,
      degraded: prediction.degraded.length > 0,
    };
  };
  const users = [...known.keys()];
  const results: Awaited<ReturnType<typeof one>>[] = [];
  for (let from = 0; from < users.length; from += PARALLEL)
    results.push(...(await Promise.all(users.slice(from, from + PARALLEL).map(one))));
  const mean = (of: (result: (typeof results)[number]) => number) =>
    results.reduce((sum, result) => sum + of(result), 0) / results.length;
  return {
    viewers: results.length,
    precision: mean((result) => result.precision),
    ndcg: mean((result) => result.ndcg),
    popularPrecision: mean((result) => result.popularPrecision),
    popularNdcg: mean((result) => result.popularNdcg),
    precisionGain: bootstrap(results.map((result) => result.precision - result.popularPrecision)),
    ndcgGain: bootstrap(results.map((result) => result.ndcg - result.popularNdcg)),
    watchedShown: results.reduce((sum, { watched }) => sum + watched, 0),
    degraded: results.filter(({ degraded }) => degraded).length,
  };
}

function filmOf(films: ReadonlyMap<string, KnownMovie>, id: string): KnownMovie {
  const film = films.get(id);
  if (film === undefined)
    throw new RangeError(`ratings.csv names film ${id}, which movies.csv does not have`);
  return film;
}
