import { parse } from 'csv-parse/sync';

/** One film; `genres` as MovieLens names them. */
export interface Movie {
  readonly id: string;
  /** Of release; 1980 where the title does not say. */
  readonly year: number;
  readonly genres: readonly string[];
}

/** Somebody gave a film half a star to five. */
export interface Rating {
  readonly user: string;
  readonly item: string;
  readonly stars: number;
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

/** Each viewer's ratings in time order, divided: the first 80 % are known, the rest is to be foretold. */
export interface DividedRatings {
  readonly known: ReadonlyMap<string, readonly Rating[]>;
  readonly later: ReadonlyMap<string, readonly Rating[]>;
}

const UNKNOWN_YEAR = 1980;

/** Reads `movieId,title,genres` lines of MovieLens (Harper and Konstan, 2015). Throws RangeError. */
export function readMovies(csv: string): ReadonlyMap<string, Movie> {
  const rows = parse(csv, { columns: true, bom: true, skip_empty_lines: true }) as Record<string, string>[];
  return new Map(
    rows.map(({ movieId, title, genres }) => {
      if (!movieId || title === undefined || genres === undefined)
        throw new RangeError('movies.csv needs the columns movieId, title, genres');
      const year = Number(/\((\d{4})\)\s*$/.exec(title)?.[1] ?? UNKNOWN_YEAR);
      return [movieId, { id: movieId, year, genres: genres.split('|') }];
    }),
  );
}

/** Reads `userId,movieId,rating,timestamp` lines; answers them in time order. Throws RangeError. */
export function readRatings(csv: string): readonly Rating[] {
  const rows = parse(csv, { columns: true, bom: true, skip_empty_lines: true }) as Record<string, string>[];
  return rows
    .map(({ userId, movieId, rating, timestamp }, index) => {
      const one = { stars: Number(rating), atMs: Number(timestamp) * 1000 };
      if (!userId || !movieId || !(one.stars > 0) || !(one.atMs > 0))
        throw new RangeError(`rating ${index + 1} lacks userId, movieId, rating or timestamp`);
      return { user: userId, item: movieId, ...one };
    })
    .sort((a, b) => a.atMs - b.atMs);
}

/** The last 20 % of each viewer's ratings are kept apart. */
export function divide(ratings: readonly Rating[], knownShare = 0.8): DividedRatings {
  const known = new Map<string, readonly Rating[]>();
  const later = new Map<string, readonly Rating[]>();
  for (const [user, own] of Map.groupBy(ratings, (rating) => rating.user)) {
    const at = Math.floor(own.length * knownShare);
    known.set(user, own.slice(0, at));
    later.set(user, own.slice(at));
  }
  return { known, later };
}

/** The films that most viewers have rated, most first; at most `count`. */
export function mostRated(
  known: DividedRatings['known'],
  count: number,
): readonly { readonly id: string; readonly ratings: number; readonly stars: number }[] {
  const all = Map.groupBy([...known.values()].flat(), ({ item }) => item);
  return [...all]
    .map(([id, own]) => ({
      id,
      ratings: own.length,
      stars: own.reduce((sum, { stars }) => sum + stars, 0) / own.length,
    }))
    .sort((a, b) => b.ratings - a.ratings || Number(a.id) - Number(b.id))
    .slice(0, count);
}
