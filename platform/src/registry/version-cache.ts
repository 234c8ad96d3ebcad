import { HotloopError } from '@hotloop/proto/errors.ts';
import type { RegistryReader, RegistrySnapshot, VersionRecord } from './snapshot.ts';

/** Values that are compiled once per version and kept while the registry knows the version. */
export interface VersionCache<T> extends Disposable {
  /** Throws, at every call, the error of compiling this version. */
  of(record: VersionRecord): T;
}

type Entry<T> = { readonly bundleSha256: string } & (
  | { readonly value: T }
  | { readonly error: HotloopError }
);

/**
 * Versions are immutable, so a compiled value is valid until its version leaves the registry. Failures are cached
 * too: a version that cannot be compiled must not cost a compilation for every request that names it.
 */
export function versionCache<T>(
  registry: RegistryReader,
  compile: (record: VersionRecord) => T,
): VersionCache<T> {
  const models = new Map<string, Map<number, Entry<T>>>();
  const stop = registry.onChange((snapshot) => forget(models, snapshot));
  return {
    of(record) {
      const versions = models.get(record.model) ?? new Map<number, Entry<T>>();
      models.set(record.model, versions);
      let entry = versions.get(record.version);
      if (entry?.bundleSha256 !== record.bundleSha256) {
        entry = { bundleSha256: record.bundleSha256, ...attempt(compile, record) };
        versions.set(record.version, entry);
      }
      if ('error' in entry) throw entry.error;
      return entry.value;
    },
    [Symbol.dispose]: stop,
  };
}

function attempt<T>(
  compile: (record: VersionRecord) => T,
  record: VersionRecord,
): { value: T } | { error: HotloopError } {
  try {
    return { value: compile(record) };
  } catch (cause) {
    const name = `model ${record.model} version ${record.version}`;
    const text = cause instanceof HotloopError ? cause.message : 'its manifest cannot be compiled';
    return {
      error: new HotloopError('FAILED_PRECONDITION', `${name} cannot serve: ${text}`, {
        reason: 'invalid_manifest',
        cause,
      }),
    };
  }
}

function forget<T>(models: Map<string, Map<number, Entry<T>>>, snapshot: RegistrySnapshot): void {
  for (const [name, versions] of models) {
    const known = snapshot.models.get(name)?.versions;
    if (!known) models.delete(name);
    else for (const version of versions.keys()) if (!known.has(version)) versions.delete(version);
  }
}
