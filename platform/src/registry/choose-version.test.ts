import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseVersion, unitHash } from './choose-version.ts';
import type { ModelRecord, RolloutTraffic } from './snapshot.ts';
import { versionOf } from './testing/model-record.ts';

function snapshotWith(rollouts: readonly RolloutTraffic[]) {
  const model: ModelRecord = {
    ...{ name: 'm', liveVersion: 1, previousVersion: null, targetVersion: 2, generation: 1 },
    versions: new Map([1, 2, 3].map((version) => [version, versionOf('m', version)])),
    rollouts,
  };
  return { models: new Map([['m', model]]) };
}

const split = (share: number, salt = 's'): RolloutTraffic => ({
  rolloutId: 'r',
  kind: 'split',
  salt,
  arms: [{ version: 2, share }],
});
const asked = (user: string) => ({ entities: { user }, predictionId: 'p' });
const versionFor = (rollouts: readonly RolloutTraffic[], user: string, version = '') =>
  chooseVersion(snapshotWith(rollouts), 'm', version, asked(user)).record.version;

describe('the choice of a version', () => {
  it('keeps an entity on its version, and only adds entities when the share grows', () => {
    fc.assert(
      fc.property(fc.string(), fc.double({ min: 0, max: 1, noNaN: true }), (user, share) => {
        const before = versionFor([split(share)], user);
        expect(versionFor([split(share)], user)).toBe(before);
        if (before === 2) expect(versionFor([split(Math.min(1, share + 0.1))], user)).toBe(2);
      }),
    );
  });

  it('assigns entities differently with another salt', () => {
    const users = Array.from({ length: 2_000 }, (_, index) => `user-${index}`);
    const both = users.filter((u) => unitHash('a', u) < 0.5 && unitHash('b', u) < 0.5).length;
    expect(Math.abs(both / users.length - 0.25)).toBeLessThan(0.05);
  });

  it('is the version that the caller names, whatever the rollout', () => {
    expect(versionFor([split(1)], 'ada', '1')).toBe(1);
    expect(versionFor([split(1)], 'ada', 'live')).toBe(1);
    expect(versionFor([split(1)], 'ada', 'candidate')).toBe(2);
    expect(chooseVersion(snapshotWith([split(1)]), 'm', '', asked('ada')).variant).toBe('canary');
  });

  it('gives each arm its share of the entities, within statistical error, and returns the propensity', () => {
    const snapshot = snapshotWith([split(0.3)]);
    const chosen = Array.from({ length: 4_000 }, (_, user) =>
      chooseVersion(snapshot, 'm', '', asked(`u${user}`)),
    );
    const canaries = chosen.filter(({ variant }) => variant === 'canary');
    expect(new Set(canaries.map(({ propensity }) => propensity))).toEqual(new Set([0.3]));
    expect(new Set(chosen.filter(({ variant }) => variant === 'live').map((one) => one.propensity))).toEqual(
      new Set([0.7]),
    );
    // Four standard deviations of a binomial share.
    expect(Math.abs(canaries.length / chosen.length - 0.3)).toBeLessThan(4 * Math.sqrt((0.3 * 0.7) / 4_000));
    expect(chooseVersion(snapshotWith([]), 'm', '', asked('ada')).propensity).toBe(1);
    expect(chooseVersion(snapshot, 'm', '1', asked('ada')).propensity).toBe(1);
  });

  it('sends copies to every shadow except the version that answers', () => {
    const shadow = (version: number): RolloutTraffic => ({
      rolloutId: `r${version}`,
      kind: 'shadow',
      salt: 's',
      arms: [{ version, share: 1 }],
    });
    const chosen = chooseVersion(snapshotWith([shadow(2), shadow(3)]), 'm', '', asked('ada'));
    expect(chosen.shadows.map((record) => record.version)).toEqual([2, 3]);
    const split2 = chooseVersion(snapshotWith([split(1), shadow(2), shadow(3)]), 'm', '', asked('ada'));
    expect(split2.shadows.map((record) => record.version)).toEqual([3]);
    expect(chooseVersion(snapshotWith([shadow(2)]), 'm', '1', asked('ada')).shadows).toEqual([]);
  });

  it('sends no requests to a version that is only being loaded', () => {
    const loading: RolloutTraffic = { ...split(1), kind: 'load' };
    expect(versionFor([loading], 'ada')).toBe(1);
  });
});
