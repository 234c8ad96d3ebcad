import { describe, expect, it } from 'vitest';
import { compareIds } from './compare-ids.ts';

async function* rows(...ids: string[]): AsyncGenerator<string> {
  yield* ids;
}

describe('comparing answers with the log', () => {
  it('accepts rows that were never answered, in any order', async () => {
    expect(await compareIds(['a', 'b'], rows('c', 'b', 'a'))).toEqual({ lost: 0, doubled: 0, logged: 3 });
  });

  it('catches a planted loss and a planted duplicate', async () => {
    expect(await compareIds(['a', 'b', 'c'], rows('a', 'c', 'a', 'd', 'd'))).toEqual({
      lost: 1,
      doubled: 2,
      logged: 5,
    });
  });
});
