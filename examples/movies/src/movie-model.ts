import type { Movie, Rating } from './ratings.ts';

/** As MovieLens names them, without those of few films. */
export const GENRES = [
  ...['Action', 'Adventure', 'Animation', 'Children', 'Comedy', 'Crime', 'Drama', 'Fantasy'],
  ...['Horror', 'Musical', 'Mystery', 'Romance', 'Sci-Fi', 'Thriller', 'War'],
] as const;

const columnOf = (genre: string): string => genre.toLowerCase().replace(/[^a-z]/g, '_');

/** model.yaml of the ranking: what the viewer has rated, from events; what the film is, from a table. */
export function movieManifest(): string {
  const liked = GENRES.map(
    (genre) =>
      `  - {name: likes_${columnOf(genre)}, from: history.user.rating.mean(${columnOf(genre)}), missing: 0.15}`,
  );
  const genres = GENRES.map(
    (genre) =>
      `  - {name: is_${columnOf(genre)}, from: reference.movies.${columnOf(genre)}, by: item, missing: 0}`,
  );
  return `# Which films will a viewer rate next? Ratings arrive as events; films are a reference table.
name: movies
task: ranking
features:
  - {name: rated, from: history.user.rating.count, missing: 0, transform: [log1p]}
  - {name: mean_stars, from: history.user.rating.mean(stars), missing: 3.5, transform: [{standardize: {mean: 3.6, std: 0.5}}]}
  - {name: mean_year, from: history.user.rating.mean(year), missing: 1990, transform: [{standardize: {mean: 1990, std: 12}}]}
  - {name: newest_year, from: history.user.rating.max(year), missing: 2000, transform: [{standardize: {mean: 2005, std: 8}}]}
  - {name: mean_fame, from: history.user.rating.mean(fame), missing: 4, transform: [{standardize: {mean: 4, std: 1}}]}
${liked.join('\n')}
  - {name: year, from: reference.movies.year, by: item, missing: 1980, transform: [{standardize: {mean: 1990, std: 12}}]}
  - {name: fame, from: reference.movies.fame, by: item, missing: 0, transform: [{standardize: {mean: 4, std: 1}}]}
  - {name: stars, from: reference.movies.stars, by: item, missing: 3.5, transform: [{standardize: {mean: 3.6, std: 0.5}}]}
${genres.join('\n')}
decision:
  rank: {top_k: 10, exclude: history.user.rating.item}
outcome:
  from: kafka:ratings
  join: [user, item]
  positive: "event.stars >= 0.5"
  window: 7d
  otherwise: 0
training:
  loss: binary_cross_entropy
  optimizer: {adam: {learning_rate: 2e-3}}
  epochs: 12
  batch: 512
  patience: 2
rollout: {mode: at_once, promote: automatic}
`;
}

/** The schema of the table `movies`. */
export function movieTable(): {
  readonly key: string;
  readonly columns: Readonly<Record<string, { readonly type: 'number' }>>;
} {
  const names = ['year', 'fame', 'stars', ...GENRES.map(columnOf)];
  return { key: 'item', columns: Object.fromEntries(names.map((name) => [name, { type: 'number' }])) };
}

/** What is known of a film: its genres as 0 and 1, ln(1 + its ratings), the mean of its stars. */
export interface KnownMovie extends Movie {
  readonly fame: number;
  readonly meanStars: number;
}

/** A row of the table `movies`, without its key. */
export function movieFields({ year, fame, meanStars, genres }: KnownMovie): Record<string, number> {
  return {
    ...{ year, fame: rounded(fame), stars: rounded(meanStars) },
    ...genreFields(genres),
  };
}

/** The fields of a rating's event. */
export function ratingFields({ item, stars }: Rating, movie: KnownMovie): Record<string, string | number> {
  return { item, stars, year: movie.year, fame: rounded(movie.fame), ...genreFields(movie.genres) };
}

function genreFields(genres: readonly string[]): Record<string, number> {
  return Object.fromEntries(GENRES.map((genre) => [columnOf(genre), Number(genres.includes(genre))]));
}

const rounded = (value: number): number => Number(value.toFixed(4));

/** Films with what the known ratings say of them; a film nobody has rated has fame 0 and 3.5 stars. */
export function knownMovies(
  movies: ReadonlyMap<string, Movie>,
  known: ReadonlyMap<string, readonly Rating[]>,
): ReadonlyMap<string, KnownMovie> {
  const sums = new Map<string, { count: number; stars: number }>();
  for (const { item, stars } of [...known.values()].flat()) {
    const sum = sums.get(item) ?? { count: 0, stars: 0 };
    sums.set(item, { count: sum.count + 1, stars: sum.stars + stars });
  }
  return new Map(
    [...movies].map(([id, movie]) => {
      const { count, stars } = sums.get(id) ?? { count: 0, stars: 0 };
      // Five ratings of 3.5 stars stand in for what is not known yet.
      return [id, { ...movie, fame: Math.log1p(count), meanStars: (stars + 5 * 3.5) / (count + 5) }];
    }),
  );
}
