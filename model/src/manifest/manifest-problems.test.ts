import { HotloopError } from '@hotloop/proto/errors.ts';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { manifestSchema } from './manifest.ts';
import { manifestProblems } from './manifest-problems.ts';
import { parseManifest } from './parse-manifest.ts';

type Given = Partial<z.input<typeof manifestSchema>>;

const manifestOf = (given: Given) =>
  manifestSchema.parse({ name: 'model', features: [{ name: 'x', from: 'request.x' }], ...given });

describe('manifestProblems', () => {
  it('finds nothing in a manifest whose parts fit together', () => {
    const manifest = manifestOf({
      task: 'ranking',
      features: [
        { name: 'price', from: 'item.price', transform: ['log1p'] },
        { name: 'bought', from: 'history.user.buy.last(3).item', missing: '', transform: [{ hash: 64 }] },
      ],
      decision: {
        combine: '0.9 * score + 0.1 * item.margin',
        rank: { top_k: 5, exclude: 'history.user.buy.item' },
        explore: { epsilon: 0.1 },
      },
    });
    expect(manifestProblems(manifest)).toEqual([]);
  });

  const feature = (given: object) => ({ features: [{ name: 'bad', from: 'request.x', ...given }] });
  const cases: [string, Given, string][] = [
    ['text without an encoding', feature({ type: 'text' }), 'features.bad'],
    ['an entity without an encoding', feature({ from: 'entity.user' }), 'features.bad'],
    ['a step after one_hot', feature({ transform: [{ one_hot: [1, 2] }, 'abs'] }), 'features.bad'],
    ['a repeated category', feature({ transform: [{ one_hot: ['a', 'a'] }] }), 'features.bad'],
    ['boundaries that are not ascending', feature({ transform: [{ bucketize: [2, 1] }] }), 'features.bad'],
    ['a scale of length zero', feature({ transform: [{ scale: { min: 1, max: 1 } }] }), 'features.bad'],
    ['a clip with swapped ends', feature({ transform: [{ clip: [2, 1] }] }), 'features.bad'],
    ['a missing value of another type', feature({ missing: 'none' }), 'features.bad'],
    ['a missing value that overflows', feature({ missing: 1e39 }), 'features.bad'],
    ['a range with swapped ends', feature({ range: [1, 0] }), 'features.bad'],
    ['a window without history', feature({ window: '1d' }), 'features.bad'],
    ['a candidate without ranking', feature({ from: 'item.x' }), 'features.bad'],
    ['a combination that cannot be parsed', { decision: { combine: 'score +' } }, 'decision.combine'],
    ['a combination with an unknown variable', { decision: { combine: 'margin' } }, 'decision.combine'],
    [
      'a combination of many scores',
      { task: 'multiclass', decision: { labels: ['a', 'b'], combine: 'score' } },
      'decision.combine',
    ],
    ['three labels of two classes', { decision: { labels: ['a', 'b', 'c'] } }, 'decision.labels'],
    [
      'an exclusion that is not a history',
      { task: 'ranking', decision: { rank: { exclude: 'request.seen' } } },
      'decision.rank.exclude',
    ],
    ['ranking without ranking', { decision: { rank: { top_k: 3 } } }, 'decision.rank'],
    ['exploration without ranking', { decision: { explore: { epsilon: 0.1 } } }, 'decision.explore'],
  ];
  it.each(cases)('finds %s, naming the field', (_, given, field) => {
    const problems = manifestProblems(manifestOf(given));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${field}: .+`));
  });

  it('names all of several problems', () => {
    const yaml = `
name: model
features:
  - {name: a, from: request.a, type: text}
  - {name: b, from: entity.user}
decision: {combine: "score +"}
`;
    let refused: unknown;
    try {
      parseManifest(yaml);
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(HotloopError);
    const { code, message } = refused as HotloopError;
    expect(code).toBe('INVALID_ARGUMENT');
    for (const field of ['features.a', 'features.b', 'decision.combine']) expect(message).toContain(field);
  });
});
