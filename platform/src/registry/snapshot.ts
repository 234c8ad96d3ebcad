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
  /** A version that a rollout wants loaded but that takes no traffic yet. */
  readonly targetVersion: number | null;
  /** Grows by one at every flip; the compare-and-swap's expectation. */
  readonly generation: number;
  readonly versions: ReadonlyMap<number, VersionRecord>;
  /** What the rollouts in progress ask for; nothing when there are none. */
  readonly rollouts?: readonly RolloutTraffic[];
}

/** The part of a running rollout that the services act on. */
export interface RolloutTraffic {
  readonly rolloutId: string;
  /**
   * load: keep the versions of the arms ready, send them nothing. shadow: send them a copy of the requests. split: each arm
   * answers its share of the entities, and the live version the rest. At most one rollout of a model splits.
   */
  readonly kind: 'load' | 'shadow' | 'split';
  /** Decides, with the entity, who falls to which arm. */
  readonly salt: string;
  readonly arms: readonly RolloutArm[];
}

export interface RolloutArm {
  readonly version: number;
  /** From 0 to 1. */
  readonly share: number;
}

/** All that services need of the registry, read at one moment. */
export interface RegistrySnapshot {
  readonly models: ReadonlyMap<string, ModelRecord>;
}

/**
 * The registry as services see it. `current` never waits and never fails once `start` has resolved; when Postgres
 * is away it keeps the last snapshot. Listeners run after `current` has changed, in order of registration.
 */
export interface RegistryReader {
  current(): RegistrySnapshot;
  onChange(listener: (snapshot: RegistrySnapshot) => void): () => void;
  /** Reads again at once; resolves when the newest state is in `current`. */
  refresh(signal?: AbortSignal): Promise<void>;
  /** Moves whenever the snapshot was confirmed against the store, in milliseconds since 1970. */
  confirmedAt(): number;
}
