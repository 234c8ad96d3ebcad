import { manifestOf } from '@hotloop/model/testing/manifests.ts';
import { describe, expect, it } from 'vitest';
import { unreadNames } from './unread-names.ts';

const manifest = manifestOf({
  task: 'ranking',
  features: [
    { name: 'price', from: 'item.price' },
    { name: 'month', from: 'request.month', missing: 'Jan', transform: [{ one_hot: ['Jan', 'Feb'] }] },
    { name: 'views', from: 'history.user.view.count', missing: 0 },
    { name: 'segment', from: 'reference.shops.size', by: 'shop', missing: 0 },
  ],
  decision: { combine: 'score + item.margin', rank: { exclude: 'history.viewer.seen.item' } },
  outcome: { from: 'sdk', join: ['session'] },
});

describe('names that a version does not use', () => {
  it('are those that neither a feature nor the decision nor the outcome reads', () => {
    const ask = (entities: Record<string, string>, request: object, attributes: object) =>
      unreadNames(manifest, {
        ...{ model: 'm', version: '', predictionId: '', wantFeatureStatuses: false, traceparent: '' },
        ...{ entities, request: { ...request }, candidates: [{ id: 'a', attributes: { ...attributes } }] },
      });
    const entities = { user: 'u', shop: 's', viewer: 'v', session: 'x' };
    expect(ask(entities, { month: 'Feb' }, { price: 1, margin: 2 })).toEqual([]);
    expect(ask({ ...entities, usr: 'u' }, { mont: 'Feb' }, { prise: 1 })).toEqual([
      'entities.usr',
      'request.mont',
      'item.prise',
    ]);
  });
});
