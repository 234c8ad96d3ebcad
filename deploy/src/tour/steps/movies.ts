import { readFile } from 'node:fs/promises';
import { readMovies, readRatings } from '@hotloop/example-movies/ratings.ts';
import { runMovies } from '@hotloop/example-movies/run-movies.ts';
import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';

const VIEWERS = 60;
const CANDIDATES = 300;

const movies: TourStep = {
  name: 'movies',
  about:
    'Ratings stream in; a first version ranks films by history and genres, and shows none that was rated.',
  async run(context) {
    const movieFile = context.dataFile('ml-latest-small/movies.csv');
    const ratingFile = context.dataFile('ml-latest-small/ratings.csv');
    if (movieFile === undefined || ratingFile === undefined) return { skipped: 'no MovieLens data here' };
    const ratings = readRatings(await readFile(ratingFile, 'utf8'));
    const quality = await runMovies(
      {
        ...{ client: context.client, producer: context.producer, say: () => undefined },
        frontDoor: `http://${context.local.httpAddresses.preprocessor}`,
        signal: context.signal,
      },
      readMovies(await readFile(movieFile, 'utf8')),
      ratings.filter(({ user }) => Number(user) <= VIEWERS),
      CANDIDATES,
    );
    expectThat(quality.degraded === 0, 'no degraded answer', `${quality.degraded} were`);
    expectThat(quality.watchedShown === 0, 'no film that was rated', `${quality.watchedShown} were shown`);
    const precision = quality.precision.toFixed(3);
    return `precision at 10 of ${quality.viewers} viewers: ${precision}, popularity ${quality.popularPrecision.toFixed(3)}`;
  },
};

export const MOVIE_STEPS: readonly TourStep[] = [movies];
