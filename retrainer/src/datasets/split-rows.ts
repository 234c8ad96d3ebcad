import type { DataSpec } from '@hotloop/model/manifest/data-schema.ts';

/** What a row is for. `left_out`: it would leak into the holdout, or is beyond a cap. `validation`: decides when training stops. */
export const PARTS = ['training', 'holdout', 'frozen', 'left_out', 'validation'] as const;
export type Part = (typeof PARTS)[number];

/** What the division looks at, of each row by its index, in the order of prediction time. */
export interface RowReader {
  readonly length: number;
  /** Rows of one prediction share a group and are never divided. Groups ascend. */
  group(index: number): number;
  /** Value of the declared entity, or the id of the prediction: decides the side by its hash. */
  key(index: number): string;
  /** Where the label comes from; empty for the default label. */
  source(index: number): string;
  /** Made after the parent's dataset. */
  isNew(index: number): boolean;
}

export interface SplitSpec {
  /** Share of the predictions (or entities) that is kept for the gate. */
  readonly holdout: number;
  /** Share of the training predictions (or entities) that validates; 0: none. */
  readonly validation?: number;
  readonly data: DataSpec;
  /** False: the order of the rows says nothing about time, so the "newest" are drawn by the hash of the key. */
  readonly isOrdered?: boolean;
  /** Whether the model has been trained on an earlier dataset, so that `replay` means something. */
  readonly hasParent: boolean;
}

/**
 * Says what each row is for, as an index into PARTS. Pure, and a row's side by entity depends on its entity alone, so that it
 * stays on its side in every later dataset.
 *
 * - frozen: by hash of the key; never in training or holdout.
 * - holdout: `time`: the newest predictions; `entity`: by hash of the entity; `time_and_entity`: the newest predictions of the
 *   entities on that side, while older rows of those entities and newer rows of the others are left out.
 * - replay: with a parent, older rows are drawn by hash until they are this share of the training rows.
 * - max_per_source: rows beyond the cap are drawn out by hash.
 * - validation: of what is left for training, the newest predictions, or the entities on that side where the split is by entity.
 */
export function splitRows(rows: RowReader, spec: SplitSpec): Uint8Array {
  const parts = new Uint8Array(rows.length);
  const mark = (index: number, part: Part) => {
    parts[index] = PARTS.indexOf(part);
  };
  const { data } = spec;
  if (data.frozen > 0)
    for (let index = 0; index < rows.length; index++)
      if (isFrozenKey(rows.key(index), data)) mark(index, 'frozen');
  const newest = newestGroups(
    rows,
    [...parts.keys()].filter((index) => parts[index] === 0),
    spec.holdout,
    spec,
    'holdout',
  );
  for (let index = 0; index < rows.length; index++) {
    if (PARTS[parts[index]!] === 'frozen') continue;
    const isNewest = newest(rows.group(index));
    const isHeldEntity = data.split !== 'time' && share(rows.key(index), 'holdout') < entityShare(spec);
    mark(index, sideOf(data.split, isNewest, isHeldEntity));
  }
  if (data.replay !== undefined && spec.hasParent) thinOld(rows, parts, data.replay, mark);
  if (data.max_per_source !== undefined) capSources(rows, parts, data.max_per_source, mark);
  validate(rows, parts, spec, mark);
  return parts;
}

/** Whether rows of a key belong to the frozen holdout: it depends on the key alone. */
export function isFrozenKey(key: string, { frozen }: Pick<DataSpec, 'frozen'>): boolean {
  return frozen > 0 && share(key, 'frozen') < frozen;
}

function sideOf(split: DataSpec['split'], isNewest: boolean, isHeldEntity: boolean): Part {
  switch (split) {
    case 'time':
      return isNewest ? 'holdout' : 'training';
    case 'entity':
      return isHeldEntity ? 'holdout' : 'training';
    case 'time_and_entity':
      if (isNewest !== isHeldEntity) return 'left_out';
      return isNewest ? 'holdout' : 'training';
  }
}

/** By both, rows of the holdout are the newest share of a share: the square root of it keeps more of them. */
function entityShare({ holdout, data }: SplitSpec): number {
  return data.split === 'time_and_entity' ? Math.sqrt(holdout) : holdout;
}

/**
 * Says of a group whether it belongs to the newest share of the rows; at least one does and one does not, where there are two and
 * `least` is 1. Without an order in time, to the share with the lowest hashes.
 */
function newestGroups(
  rows: RowReader,
  indices: readonly number[],
  wanted: number,
  { isOrdered = true }: Pick<SplitSpec, 'isOrdered'>,
  salt: string,
  least = 1,
): (group: number) => boolean {
  const groups: number[] = [];
  const keys = new Map<number, string>();
  // Groups ascend.
  for (const index of indices) {
    const group = rows.group(index);
    if (groups.at(-1) === group) continue;
    groups.push(group);
    if (!isOrdered) keys.set(group, rows.key(index));
  }
  const count = Math.min(Math.max(Math.round(groups.length * wanted), least), groups.length - 1);
  if (count <= 0) return () => false;
  if (isOrdered) {
    const first = groups[groups.length - count]!;
    return (group) => group >= first;
  }
  const hashes = groups.map((group) => [share(keys.get(group) ?? '', salt), group] as const);
  const chosen = new Set(
    hashes
      .sort(([a], [b]) => a - b)
      .slice(0, count)
      .map(([, group]) => group),
  );
  return (group) => chosen.has(group);
}

/** Never all: something is left to learn from. */
function validate(rows: RowReader, parts: Uint8Array, spec: SplitSpec, mark: Mark): void {
  const { validation = 0, data } = spec;
  if (validation === 0) return;
  const training = [...parts.keys()].filter((index) => parts[index] === 0);
  if (data.split !== 'time') {
    const chosen = training.filter((index) => share(rows.key(index), 'validation') < validation);
    if (chosen.length < training.length) for (const index of chosen) mark(index, 'validation');
    return;
  }
  const newest = newestGroups(rows, training, validation, spec, 'validation', 0);
  for (const index of training) if (newest(rows.group(index))) mark(index, 'validation');
}

type Mark = (index: number, part: Part) => void;

function thinOld(rows: RowReader, parts: Uint8Array, replay: number, mark: Mark): void {
  const isTraining = (index: number) => parts[index] === 0;
  let fresh = 0;
  let old = 0;
  for (let index = 0; index < rows.length; index++)
    if (isTraining(index)) rows.isNew(index) ? fresh++ : old++;
  if (fresh === 0 || replay === 1) return;
  // old' / (old' + fresh) = replay
  const wanted = (fresh * replay) / (1 - replay);
  if (wanted >= old) return;
  for (let index = 0; index < rows.length; index++) {
    if (isTraining(index) && !rows.isNew(index) && share(String(rows.group(index)), 'replay') >= wanted / old)
      mark(index, 'left_out');
  }
}

function capSources(rows: RowReader, parts: Uint8Array, cap: number, mark: Mark): void {
  const counts = new Map<string, number>();
  let total = 0;
  for (let index = 0; index < rows.length; index++) {
    if (parts[index] !== 0) continue;
    const source = rows.source(index);
    // Default labels were reported by nobody.
    if (source !== '') counts.set(source, (counts.get(source) ?? 0) + 1);
    total++;
  }
  const kept = new Map<string, number>();
  for (const [source, count] of counts) {
    const others = total - count;
    // count' / (count' + others) = cap
    const allowed = cap >= 1 ? count : (others * cap) / (1 - cap);
    kept.set(source, Math.min(1, allowed / count));
  }
  // A single source has nobody to be measured against: it stays.
  if (counts.size < 2) return;
  for (let index = 0; index < rows.length; index++) {
    if (parts[index] !== 0) continue;
    const source = rows.source(index);
    if (share(`${rows.group(index)} ${source}`, 'source') >= (kept.get(source) ?? 1)) mark(index, 'left_out');
  }
}

/** A number in [0, 1) that depends on the text alone: FNV-1a, then the finalizer of MurmurHash3. */
export function share(text: string, purpose: string): number {
  let hash = 0x811c9dc5;
  for (const part of [purpose, '\0', text])
    for (let index = 0; index < part.length; index++)
      hash = Math.imul(hash ^ part.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
