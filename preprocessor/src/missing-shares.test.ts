import { manifestOf } from '@hotloop/model/testing/manifests.ts';
import { describe, expect, it } from 'vitest';
import { MissingShares } from './missing-shares.ts';

const shares = () =>
  new MissingShares(
    manifestOf({
      features: [
        { name: 'price', from: 'request.price', missing: 0 },
        { name: 'age', from: 'request.age', missing: 0, quality: { max_missing: 0.1 } as never },
      ],
    }),
  );
const FRESH = Uint8Array.of(1, 0);
const ABSENT = Uint8Array.of(0, 1);

describe('the share of missing values', () => {
  it('marks answers once more rows than declared lack the feature, until it is back', () => {
    const watched = shares();
    for (let row = 0; row < 99; row++) expect(watched.record(ABSENT)).toEqual([]);
    expect(watched.record(ABSENT)).toEqual(['missing:age']);
    let marked = 0;
    for (let row = 0; row < 5000; row++) if (watched.record(FRESH).length > 0) marked++;
    expect(marked).toBeGreaterThan(800);
    expect(watched.record(FRESH)).toEqual([]);
  });

  it('counts each candidate as a row, and accepts a share at the limit', () => {
    const watched = shares();
    const rows = Uint8Array.from({ length: 400 }, (_, at) => (at % 2 === 1 && at < 40 ? 1 : 0));
    expect(watched.record(rows)).toEqual([]);
    expect(watched.record(ABSENT)).toEqual(['missing:age']);
  });
});
