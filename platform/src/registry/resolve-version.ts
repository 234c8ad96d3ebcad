import { HotloopError } from '@hotloop/proto/errors.ts';
import { didYouMean } from '@hotloop/proto/nearest-name.ts';
import type { ModelRecord, RegistrySnapshot, VersionRecord } from './snapshot.ts';

export interface PinnedVersion {
  readonly record: VersionRecord;
  readonly variant: 'live' | 'pinned';
}

const LABELS = {
  live: (model: ModelRecord) => model.liveVersion,
  candidate: (model: ModelRecord) => model.targetVersion,
  previous: (model: ModelRecord) => model.previousVersion,
} as const;

function isLabel(text: string): text is keyof typeof LABELS {
  return Object.hasOwn(LABELS, text);
}

/**
 * The version that a request refers to: by number, by label (live, candidate, previous), or live when empty. Throws
 * NOT_FOUND for an unknown model, version or unassigned label; INVALID_ARGUMENT for a malformed version.
 */
export function resolveVersion(snapshot: RegistrySnapshot, name: string, version: string): PinnedVersion {
  const model = snapshot.models.get(name);
  if (!model)
    throw new HotloopError(
      'NOT_FOUND',
      `model ${JSON.stringify(name.slice(0, 80))} is not registered${didYouMean(name, firstNames(snapshot))}`,
    );
  const label = version === '' ? 'live' : version;
  if (isLabel(label)) {
    const number = LABELS[label](model);
    const record = number === null ? undefined : model.versions.get(number);
    if (!record)
      throw new HotloopError('NOT_FOUND', `model ${name} has no ${label} version; promote one first`);
    return { record, variant: label === 'live' ? 'live' : 'pinned' };
  }
  if (!/^[1-9][0-9]{0,8}$/.test(label))
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `version must be a number, live, candidate or previous, not ${JSON.stringify(label.slice(0, 40))}`,
    );
  const record = model.versions.get(Number(label));
  if (!record)
    throw new HotloopError(
      'NOT_FOUND',
      `model ${name} has no version ${label}; its newest is ${Math.max(0, ...model.versions.keys())}`,
    );
  return { record, variant: 'pinned' };
}

/** Names searched for a suggestion: a wrong request must not cost a search through very many names. */
const MOST_NAMES = 200;

function* firstNames({ models }: RegistrySnapshot): Generator<string> {
  let count = 0;
  for (const name of models.keys()) {
    if (count++ >= MOST_NAMES) return;
    yield name;
  }
}
