import { describe, expect, it } from 'vitest';
import { flip, setTarget } from '../rollouts/promotion-store.ts';
import { linearModel, manifestText, nodeSays, openStores, push } from '../testing/fixture.ts';
import { getModel } from './list-models.ts';

describe('the versions of a model', () => {
  it('are retired only after they were live, whatever nodes have loaded', async () => {
    await using stores = await openStores();
    for (let seed = 1; seed <= 5; seed++) await push(stores, manifestText('m'), linearModel(seed));
    for (const [generation, version] of [1, 2, 4].entries()) {
      await setTarget(stores.pool, 'm', version, generation);
      await flip(stores.pool, { model: 'm', version, generation, action: 'promote', actor: 'ada', at: 0 });
    }
    await nodeSays(stores.pool, 'a', 'm', 5, 'loading');
    const { versions } = await getModel(stores.pool, 'm');
    expect(versions.map(({ version, state }) => [version, state])).toEqual([
      [5, 'registered'],
      [4, 'live'],
      [3, 'registered'],
      [2, 'previous'],
      [1, 'retired'],
    ]);
    expect(versions[0]?.nodes).toMatchObject([{ node: 'a', state: 'loading' }]);
  });
});
