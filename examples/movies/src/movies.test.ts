import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { describe, expect, it } from 'vitest';
import { movieManifest } from './movie-model.ts';
import { bootstrap, ndcgAtTen, precisionAtTen } from './ranking-quality.ts';
import { divide, readMovies, readRatings } from './ratings.ts';

describe('the example of films', () => {
  it('has a manifest that compiles', () => {
    expect(compileFeaturePlan(parseManifest(movieManifest())).columns).toBe(38);
  });

  it('reads films and ratings, and keeps the last fifth of each viewer apart', () => {
    const films = readMovies('movieId,title,genres\n1,"Heat, The (1995)",Action|Crime\n2,Nameless,Drama\n');
    expect(films.get('1')).toEqual({ id: '1', year: 1995, genres: ['Action', 'Crime'] });
    const lines = Array.from({ length: 10 }, (_, index) => `u,${index},4,${100 - index}`);
    const ratings = readRatings(`userId,movieId,rating,timestamp\n${lines.join('\n')}\n`);
    const { known, later } = divide(ratings);
    expect(later.get('u')?.map(({ item }) => item)).toEqual(['1', '0']);
    expect(known.get('u')).toHaveLength(8);
    expect(() => readRatings('userId,movieId,rating,timestamp\nu,1,x,1\n')).toThrow('rating 1 lacks');
  });

  it('measures rankings with the usual definitions', () => {
    const wanted = new Set(['a', 'c']);
    expect(precisionAtTen(['a', 'b', 'c'], wanted)).toBeCloseTo(0.2);
    expect(ndcgAtTen(['a', 'b', 'c'], wanted)).toBeCloseTo((1 + 1 / 2) / (1 + 1 / Math.log2(3)));
    expect(ndcgAtTen(['a', 'c'], wanted)).toBe(1);
  });

  it('gives a gain its interval, which contains 0 if there is none', () => {
    const none = bootstrap(Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? 1 : -1)));
    expect(none.low).toBeLessThan(0);
    expect(none.high).toBeGreaterThan(0);
    expect(bootstrap(Array.from({ length: 200 }, () => 0.1)).low).toBeCloseTo(0.1);
  });
});
