import type { Manifest } from '@hotloop/model/manifest/manifest.ts';

/** An immutable version as the registry knows it. */
export interface VersionRecord {
  readonly model: string;
  readonly version: number;
  /** SHA-256 over both files' digests; names the folder in the bundle store. */
  readonly bundleSha256: string;
  readonly onnxSha256: string;
  readonly manifest: Manifest;
  readonly parentVersion: number | null;
}

export interface ModelRecord {
  readonly name: string;
  /** Null until a version is promoted. */
  readonly liveVersion: number | null;
  /** Stays warm for rollback. */
  readonly previousVersion: number | null;
  /** A version that a rollout wants loaded but that gets no traffic yet. */
  readonly targetVersion: number | null;
  /** Incremented at every switch of the live version; the expected value of the compare-and-swap. */
  readonly generation: number;
  readonly versions: ReadonlyMap<number, VersionRecord>;
  /** Traffic of the rollouts in progress; absent when there are none. */
  readonly rollouts?: readonly RolloutTraffic[];
}

/** The part of a running rollout that the services act on. */
export interface RolloutTraffic {
  readonly rolloutId: string;
  /**
   * load: keep the arms' versions ready, without traffic. shadow: send them a copy of the requests. split: each arm
   * answers its share of the entities, and the live version the rest. At most one rollout per model splits.
   */
  readonly kind: 'load' | 'shadow' | 'split';
  /** Together with the entity, determines the arm. */
  readonly salt: string;
  readonly arms: readonly RolloutArm[];
}

export interface RolloutArm {
  readonly version: number;
  /** From 0 to 1. */
  readonly share: number;
}

/** Everything that services need from the registry, read at one moment. */
export interface RegistrySnapshot {
  readonly models: ReadonlyMap<string, ModelRecord>;
}

/**
 * The registry as services see it. `current` never waits and, once `start` has resolved, never fails; while Postgres
 * cannot be reached it returns the last snapshot. Listeners run after `current` has changed, in order of
 * registration.
 */
export interface RegistryReader {
  current(): RegistrySnapshot;
  onChange(listener: (snapshot: RegistrySnapshot) => void): () => void;
  /** Reads again at once; resolves when the newest state is in `current`. */
  refresh(signal?: AbortSignal): Promise<void>;
  /** Time at which the snapshot was last confirmed against the store, in milliseconds since 1970. */
  confirmedAt(): number;
}
