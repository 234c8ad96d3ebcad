import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readMovies, readRatings } from '@hotloop/example-movies/ratings.ts';
import { runMovies } from '@hotloop/example-movies/run-movies.ts';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { type Figure, figure } from '../figure.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { connectTo, startBenchLocal } from '../stand/bench-local.ts';
import type { Drill } from './drill.ts';

const LIMIT_MS = 15 * 60_000;

/**
 * Recommends MovieLens films to viewers: ratings arrive through Kafka, genres are a reference table, the ten best of
 * 1,000 films are shown, without films that the viewer has rated. Evaluated on the last 20 % of each viewer's
 * ratings, compared with popularity.
 */
export const drillMovies: Drill = async ({ say, data }): Promise<Figure[]> => {
  if (data === undefined) throw new RangeError('give the folder of ml-latest-small with --data');
  const signal = AbortSignal.timeout(LIMIT_MS);
  const movies = readMovies(await readFile(join(data, 'movies.csv'), 'utf8'));
  const ratings = readRatings(await readFile(join(data, 'ratings.csv'), 'utf8'));
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await benchFolder());
  const local = stack.use(
    await startBenchLocal(folder.path, { single: true, environment: { HOTLOOP_LOG_LEVEL: 'warn' }, signal }),
  );
  const client = stack.use(await connectTo(local, 30_000));
  const brokers = local.backing.kafkaBrokers.split(',');
  const producer = stack.use(await openProducer({ brokers, clientId: 'movies', log: silentLog() }));
  const frontDoor = `http://${local.httpAddresses.preprocessor}`;
  const quality = await runMovies({ client, producer, frontDoor, say, signal }, movies, ratings);
  const { precision, ndcg, popularPrecision, popularNdcg, precisionGain, ndcgGain } = quality;
  return [
    figure('movies_precision', [precision]),
    figure('movies_ndcg', [ndcg]),
    figure('movies_popular_precision', [popularPrecision]),
    figure('movies_popular_ndcg', [popularNdcg]),
    interval('movies_precision_gain', precisionGain),
    interval('movies_ndcg_gain', ndcgGain),
    figure('movies_watched_shown', [quality.watchedShown], { atMost: 0 }),
    figure('movies_degraded', [quality.degraded], { atMost: 0 }),
    figure('movies_viewers', [quality.viewers]),
  ];
};

/** `low` and `high` are the ends of the 95 % interval; met when the whole interval is above 0. */
function interval(key: string, { mean, low, high }: { mean: number; low: number; high: number }): Figure {
  const plain = figure(key, [mean]);
  const ends = figure(key, [low, high]);
  return { ...plain, goal: '> 0', met: low > 0, low: ends.low, high: ends.high };
}
