import { resolveVersion } from './resolve-version.ts';
import type { ModelRecord, RegistrySnapshot, RolloutTraffic, VersionRecord } from './snapshot.ts';

/** The properties of a request that the choice of a version depends on. */
export interface Choosing {
  readonly entities: Readonly<Record<string, string>>;
  readonly predictionId: string;
}

export interface ChosenVersion {
  readonly record: VersionRecord;
  readonly variant: 'live' | 'canary' | 'pinned';
  /** Probability that this version answers: its share of the split, 1 without a split. */
  readonly propensity: number;
  /** Versions that get a copy of the request; their answers are logged but not returned. */
  readonly shadows: readonly VersionRecord[];
}

const NO_SHADOWS: readonly VersionRecord[] = [];

/**
 * Chooses the version that answers a request, and the versions that get a copy of it. A request that names a version
 * or an alias gets that version. Any other request gets the live version, or a version by a rollout's split. The
 * choice is a pure function of the rollout's salt and the entity, so that an entity stays with its version while the
 * shares stay the same, and increasing a share only adds entities. Throws as `resolveVersion`.
 */
export function chooseVersion(
  snapshot: RegistrySnapshot,
  name: string,
  version: string,
  who: Choosing,
): ChosenVersion {
  const pinned = resolveVersion(snapshot, name, version);
  const model = snapshot.models.get(name);
  const rollouts = model?.rollouts;
  if (version !== '' || model === undefined || rollouts === undefined || rollouts.length === 0)
    return { ...pinned, propensity: 1, shadows: NO_SHADOWS };
  const split = rollouts.find((rollout) => rollout.kind === 'split');
  const chosen = split ? armOf(split, who) : undefined;
  const record = chosen === undefined ? undefined : model.versions.get(chosen);
  const propensity = split ? shareOf(split, record?.version) : 1;
  const answer: Omit<ChosenVersion, 'shadows'> = record
    ? { record, variant: 'canary', propensity }
    : { ...pinned, propensity };
  return { ...answer, shadows: shadowsOf(model, rollouts, answer.record, who) };
}

/**
 * The version of the arm that the entity belongs to; undefined for the live version, which gets what the arms leave.
 */
function armOf({ salt, arms }: RolloutTraffic, who: Choosing): number | undefined {
  const drawn = unitHash(salt, stickyKey(who));
  let upTo = 0;
  for (const { version, share } of arms) {
    upTo += share;
    if (drawn < upTo) return version;
  }
  return undefined;
}

/** The share of a version, or of the live version: what the arms leave. */
function shareOf({ arms }: RolloutTraffic, version: number | undefined): number {
  const own = arms.find((arm) => arm.version === version);
  return own ? own.share : 1 - arms.reduce((sum, { share }) => sum + share, 0);
}

function shadowsOf(
  model: ModelRecord,
  rollouts: readonly RolloutTraffic[],
  answering: VersionRecord,
  who: Choosing,
): VersionRecord[] {
  const shadows: VersionRecord[] = [];
  for (const { kind, salt, arms } of rollouts) {
    if (kind !== 'shadow') continue;
    for (const { version, share } of arms) {
      const record = model.versions.get(version);
      if (!record || record === answering || shadows.includes(record)) continue;
      if (unitHash(salt, stickyKey(who)) < share) shadows.push(record);
    }
  }
  return shadows;
}

/** The entity `user` if there is one, else the first entity by name, else the prediction itself. */
export function stickyKey({ entities, predictionId }: Choosing): string {
  const user = entities.user;
  if (user !== undefined && user !== '') return user;
  const first = Object.keys(entities).sort()[0];
  return first === undefined ? predictionId : (entities[first] ?? predictionId);
}

/**
 * A number from 0 to 1 (exclusive) computed from two texts: FNV-1a over their UTF-16 units, then the finalizer of
 * MurmurHash3. Without the finalizer, texts that differ only in their last letter would get similar numbers.
 */
export function unitHash(salt: string, key: string): number {
  let hash = 0x811c9dc5;
  for (const text of [salt, '\u0000', key])
    for (let index = 0; index < text.length; index++)
      hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
