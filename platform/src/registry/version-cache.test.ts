import { manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import { describe, expect, it } from 'vitest';
import { memoryRegistry } from './memory-registry.ts';
import type { VersionRecord } from './snapshot.ts';
import { versionCache } from './version-cache.ts';

const manifest = manifestSchema.parse({ name: 'm', features: [{ name: 'x', from: 'request.x' }] });

const version = (number: number, bundleSha256 = `b${number}`): VersionRecord => ({
  ...{ model: 'm', version: number, bundleSha256, onnxSha256: '', manifest, parentVersion: null },
});

function open(...versions: VersionRecord[]) {
  const registry = memoryRegistry();
  const show = (shown: VersionRecord[]) => {
    registry.set({
      ...{ name: 'm', liveVersion: null, previousVersion: null, targetVersion: null, generation: 0 },
      versions: new Map(shown.map((record) => [record.version, record])),
    });
    registry.publish();
  };
  show(versions);
  const compiled: number[] = [];
  const cache = versionCache(registry, (record) => {
    compiled.push(record.version);
    if (record.version === 13) throw new RangeError('unlucky');
    return `plan ${record.version}`;
  });
  return { show, compiled, cache };
}

describe('versionCache', () => {
  it('compiles a version once', () => {
    const { cache, compiled } = open(version(1), version(2));
    expect([cache.of(version(1)), cache.of(version(2)), cache.of(version(1))]).toEqual([
      'plan 1',
      'plan 2',
      'plan 1',
    ]);
    expect(compiled).toEqual([1, 2]);
  });

  it('compiles again when the same number has other bytes', () => {
    const { cache, compiled } = open(version(1));
    cache.of(version(1));
    cache.of(version(1, 'other'));
    expect(compiled).toEqual([1, 1]);
  });

  it('also caches a failure, names the version, and hides internal details', () => {
    const { cache, compiled } = open(version(13));
    for (let index = 0; index < 3; index++)
      expect(() => cache.of(version(13))).toThrow(/model m version 13 cannot serve: its manifest/);
    expect(compiled).toEqual([13]);
  });

  it('forgets versions that left the registry, and keeps the others', () => {
    const { cache, compiled, show } = open(version(1), version(2));
    cache.of(version(1));
    cache.of(version(2));
    show([version(2), version(3)]);
    cache.of(version(2));
    cache.of(version(1));
    expect(compiled).toEqual([1, 2, 1]);
  });
});
