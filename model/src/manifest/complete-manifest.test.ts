import { describe, expect, it } from 'vitest';
import { manifestOf } from '../testing/manifests.ts';
import { completeManifest, parseSharedFeatures } from './complete-manifest.ts';
import { decodeManifest } from './decode-manifest.ts';
import { misleadingFeatures } from './misleading-features.ts';
import { parseManifest } from './parse-manifest.ts';

const SHARED = {
  version: 3,
  yaml: `features:
  - {name: spend_30d, from: history.user.buy.sum(price), window: 30d, missing: 0}
  - {name: segment, from: request.segment, transform: [{one_hot: [new, loyal]}]}
`,
};

describe('a pushed model.yaml', () => {
  it('includes shared features with the version of their file, and keeps its comments', () => {
    const yaml = completeManifest(
      '# mine\nname: m\nfeatures:\n  - {use: spend_30d, missing: 7}\n  - {name: x, from: request.x} # kept\n',
      SHARED,
    );
    expect(yaml).toContain('# mine');
    expect(yaml).toContain('# kept');
    expect(parseManifest(yaml).features[0]).toMatchObject({
      name: 'spend_30d',
      window: '30d',
      missing: 7,
      shared: { name: 'spend_30d', version: 3 },
    });
  });

  it('is refused where the shared feature, or the whole file, is not there', () => {
    const yaml = 'name: m\nfeatures:\n  - {use: nothing}\n';
    expect(() => completeManifest(yaml, SHARED)).toThrow(/features.0.use.*version 3.*spend_30d, segment/);
    expect(() => completeManifest(yaml, undefined)).toThrow(/features push/);
    expect(() => parseManifest(yaml)).toThrow(/use/);
  });

  it('records the function of a hash; a stored hash without one stays FNV-1a', () => {
    const yaml =
      'name: m\nfeatures:\n  - {name: c, from: request.c, transform: [{hash: 9}, {one_hot: [1]}]}\n';
    const completed = completeManifest(yaml, undefined);
    expect(parseManifest(completed).features[0]?.transform[0]).toEqual({
      hash: { buckets: 9, function: 'murmur3' },
    });
    expect(parseManifest(yaml).features[0]?.transform[0]).toEqual({ hash: 9 });
    expect(completeManifest(completed, undefined)).toBe(completed);
  });

  it('may not feed a hash to a dense input; the error names the remedy', () => {
    const manifest = manifestOf({ features: [{ name: 'c', from: 'request.c', transform: [{ hash: 9 }] }] });
    expect(misleadingFeatures(manifest, { MatMul: 2 })).toEqual([
      expect.stringMatching(/features.c.*one_hot.*text.*id/),
    ]);
    expect(misleadingFeatures(manifest, { Gather: 1 })).toEqual([]);
    const hot = manifestOf({
      features: [{ name: 'c', from: 'request.c', transform: [{ hash: 2 }, { one_hot: [0, 1] }] }],
    });
    expect(misleadingFeatures(hot, { MatMul: 2 })).toEqual([]);
  });

  it('may not look further back than the history, or filter events by what is no condition', () => {
    const problemsOf = (feature: object) =>
      misleadingFeatures(
        manifestOf({ features: [{ name: 'c', from: 'history.user.buy.count', missing: 0, ...feature }] }),
        undefined,
      );
    expect(problemsOf({ window: '90d', where: 'event.price > 10.0' })).toEqual([]);
    expect(problemsOf({ where: 'event.gift' })).toEqual([]);
    expect(problemsOf({ where: '"gift"' })).toHaveLength(1);
    expect(problemsOf({ window: '91d', where: 'event.price + 1' })).toEqual([
      'features.c: window is 91d, but the history keeps events for 90d; declare at most that',
      expect.stringMatching(/features.c: where must be true or false.*event.price > 10.0/),
    ]);
  });
});

describe('features.yaml', () => {
  it('is rejected naming the field', () => {
    expect(parseSharedFeatures(SHARED.yaml)).toEqual(['spend_30d', 'segment']);
    expect(() => parseSharedFeatures('features:\n  - {name: a, from: nowhere.b}\n')).toThrow(
      /features.0.from.*request/,
    );
  });
});

describe('the error for an invalid model.yaml says what was found and what is allowed:', () => {
  const cases: [string, string, RegExp][] = [
    ['an empty file', '', /empty/],
    ['two documents', 'name: a\n---\nname: b\n', /two documents/],
    [
      'an infinity',
      'name: a\nfeatures:\n  - {name: x, from: request.x, transform: [{clip: [0, .inf]}]}\n',
      /features.0.transform.0.clip.1: .inf stands there; a finite number is taken/,
    ],
    [
      'null in one_hot',
      'name: a\nfeatures:\n  - {name: x, from: request.x, transform: [{one_hot: [red, null]}]}\n',
      /features.0.transform.0.one_hot.1: null stands there; a text or a finite number or true or false is taken/,
    ],
    [
      'a transform that does not exist',
      'name: a\nfeatures:\n  - {name: x, from: request.x, transform: [sqrt]}\n',
      /features.0.transform.0: "sqrt" stands there; taken are.*log1p/,
    ],
    [
      'a source that does not exist',
      'name: a\nfeatures:\n  - {name: x, from: session.x}\n',
      /request.FIELD.*history/,
    ],
    [
      'a history function that does not exist',
      'name: a\nfeatures:\n  - {name: x, from: history.user.buy.median(price)}\n',
      /count.*sum\(FIELD\).*median is none/,
    ],
  ];
  it.each(cases)('%s', (_, yaml, message) => {
    expect(() => parseManifest(yaml)).toThrow(message);
  });

  it('an alias that contains itself', () => {
    expect(() => parseManifest('name: &a [*a]\nfeatures: []\n')).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'invalid_manifest' }),
    );
  });

  it('a file that is not UTF-8, with the place of the byte', () => {
    const bytes = Buffer.from('name: m\nfeatures: [caf\u00e9]\n', 'latin1');
    expect(() => decodeManifest(bytes)).toThrow(/byte 22 \(line 2, character 15\) is 0xE9/);
    expect(decodeManifest(Buffer.from('name: größe'))).toBe('name: größe');
  });
});
