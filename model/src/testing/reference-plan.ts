import type { FeatureInput } from '../features/feature-plan.ts';
import type { Feature, Transform } from '../features/feature-schema.ts';
import type { HistoryEvent } from '../features/history.ts';
import { durationMs } from '../manifest/duration.ts';
import type { Manifest } from '../manifest/manifest.ts';

type Raw = number | string | boolean;
type Wanted = 'number' | 'text' | 'flag' | 'texts';

/** All events of an entity's event type, newest first. */
export type EventsOf = (entity: string, entityId: string, event: string) => readonly HistoryEvent[];

/**
 * A second implementation of the feature plan, directly from the schema's documentation and without regard for speed:
 * each feature of each row separately, re-reading the manifest. Undefined when the prediction must be rejected.
 */
export function referenceRows(
  manifest: Manifest,
  input: FeatureInput,
  eventsOf: EventsOf,
  nowMs: number,
): number[][] | undefined {
  const rows = manifest.task === 'ranking' ? input.candidates.map((_, row) => row) : [0];
  const result: number[][] = [];
  for (const row of rows) {
    const columns: number[] = [];
    for (const feature of manifest.features) {
      const made = referenceFeature(feature, input, row, eventsOf, nowMs);
      if (made === undefined || made.some((value) => !Number.isFinite(Math.fround(value)))) return undefined;
      columns.push(...made.map(Math.fround));
    }
    result.push(columns);
  }
  return result;
}

function referenceFeature(
  feature: Feature,
  input: FeatureInput,
  row: number,
  eventsOf: EventsOf,
  nowMs: number,
): number[] | undefined {
  const [kind = '', ...path] = feature.from.split('.');
  const candidate = input.candidates[row];
  const wanted = feature.type ?? wantedType(kind, feature);
  if (wanted === 'image') return undefined;
  if (kind === 'history') {
    const [entity = '', event = '', ...call] = path;
    const id = entity === 'item' && candidate ? candidate.id : input.entities[entity];
    const values =
      id === undefined ? [] : historyRaw(feature, call.join('.'), eventsOf(entity, id, event), wanted, nowMs);
    const count = Number(/^last\((\d+)\)/.exec(call.join('.'))?.[1] ?? 1);
    const padded = Array.from({ length: count }, (_, index) => values[index] ?? feature.missing);
    if (padded.some((value) => value === undefined)) return undefined;
    if (values.some((value) => isRefused(feature, value))) return undefined;
    return padded.flatMap((value) => transformed(feature.transform, value as Raw));
  }
  const name = path[0] ?? '';
  const found =
    kind === 'request'
      ? input.request[name]
      : kind === 'item'
        ? candidate?.attributes[name]
        : name === 'item' && candidate
          ? candidate.id
          : input.entities[name];
  const value = found ?? feature.missing;
  if (value === undefined || typeof value === 'object') return undefined;
  if (typeof value !== { number: 'number', text: 'string', flag: 'boolean', texts: 'list' }[wanted])
    return undefined;
  if (found !== undefined && isRefused(feature, value as Raw)) return undefined;
  return transformed(feature.transform, value as Raw);
}

function wantedType(kind: string, feature: Feature): Wanted {
  if (kind === 'entity') return 'text';
  if (kind === 'history' && !feature.from.includes('.last(')) return 'number';
  const first = feature.transform[0];
  if (typeof first !== 'object') return 'number';
  if ('hash' in first) return 'text';
  if (!('one_hot' in first)) return 'number';
  const kinds = new Set(first.one_hot.map((category) => typeof category));
  if (kinds.size > 1) return 'text';
  return kinds.has('number') ? 'number' : kinds.has('boolean') ? 'flag' : 'text';
}

function isRefused(feature: Feature, value: Raw): boolean {
  if (typeof value !== 'number') return false;
  if (!Number.isFinite(value)) return true;
  return feature.range !== undefined && (value < feature.range[0] || value > feature.range[1]);
}

function historyRaw(
  feature: Feature,
  call: string,
  all: readonly HistoryEvent[],
  wanted: Wanted,
  nowMs: number,
): Raw[] {
  const newest = Math.max(...all.map(({ atMs }) => atMs));
  if (feature.max_age !== undefined && all.length > 0 && nowMs - newest > durationMs(feature.max_age))
    return [];
  const from = feature.window === undefined ? Number.NEGATIVE_INFINITY : nowMs - durationMs(feature.window);
  const events = all.filter(({ atMs }) => atMs >= from);
  const field = /(?:\(|\.)([A-Za-z_]\w*)\)?$/.exec(call)?.[1] ?? '';
  const numbers = events
    .map(({ fields }) => fields[field])
    .filter((value) => typeof value === 'number' || typeof value === 'boolean')
    .map(Number);
  const sum = numbers.reduce((total, value) => total + value, 0);
  if (call === 'count') return [events.length];
  if (call === 'seconds_since') return events.length === 0 ? [] : [Math.max(0, nowMs - newest) / 1000];
  if (call.startsWith('sum')) return [sum];
  if (call.startsWith('min') || call.startsWith('max')) {
    const sorted = numbers.toSorted((a, b) => a - b);
    const value = call.startsWith('min') ? sorted[0] : sorted.at(-1);
    return value === undefined ? [] : [value];
  }
  if (call.startsWith('distinct'))
    return [
      new Set(
        events
          .map(({ fields }) => fields[field])
          .filter((value) => value !== undefined && !Array.isArray(value))
          .map((value) => `${typeof value} ${value}`),
      ).size,
    ];
  if (call.startsWith('mean')) return numbers.length === 0 ? [] : [sum / numbers.length];
  const type = { number: 'number', text: 'string', flag: 'boolean', texts: 'list' }[wanted];
  const values = events.map(({ fields }) => fields[field]).filter((value) => typeof value === type);
  return values.slice(0, Number(/\d+/.exec(call)?.[0])) as Raw[];
}

function transformed(transforms: readonly Transform[], raw: Raw): number[] {
  let value: Raw = raw;
  for (const transform of transforms) {
    if (transform === 'abs') value = Math.abs(Number(value));
    else if (transform === 'log1p') value = Math.sign(Number(value)) * Math.log1p(Math.abs(Number(value)));
    else if ('standardize' in transform)
      value = (Number(value) - transform.standardize.mean) / transform.standardize.std;
    else if ('scale' in transform)
      value = (Number(value) - transform.scale.min) / (transform.scale.max - transform.scale.min);
    else if ('clip' in transform)
      value = Math.min(transform.clip[1], Math.max(transform.clip[0], Number(value)));
    else if ('bucketize' in transform) {
      const number = Number(value);
      value = transform.bucketize.filter((boundary) => boundary <= number).length;
    } else if ('hash' in transform) {
      const { hash } = transform;
      if (typeof hash === 'number') value = Number(referenceFnv(String(value)) % BigInt(hash));
      else value = Number(absolute(referenceMurmur(String(value))) % BigInt(hash.buckets));
    } else {
      if (!('one_hot' in transform)) throw new Error('the reference does not know this transform');
      const last = value;
      return transform.one_hot.map((category) =>
        Number(typeof last === 'string' ? String(category) === last : Number(category) === Number(last)),
      );
    }
  }
  return [Number(value)];
}

function referenceFnv(text: string): bigint {
  let hash = 0x811c9dc5n;
  for (const byte of new TextEncoder().encode(text))
    hash = ((hash ^ BigInt(byte)) * 0x01000193n) & 0xffffffffn;
  return hash;
}

/** MurmurHash3_x86_32 with seed 0, from its description; signed. */
function referenceMurmur(text: string): bigint {
  const bytes = [...new TextEncoder().encode(text)];
  const mask = 0xffffffffn;
  const rotate = (value: bigint, by: bigint) => ((value << by) | (value >> (32n - by))) & mask;
  const scramble = (block: bigint) => (rotate((block * 0xcc9e2d51n) & mask, 15n) * 0x1b873593n) & mask;
  let hash = 0n;
  for (let at = 0; at < bytes.length; at += 4) {
    const block = bytes
      .slice(at, at + 4)
      .reduce((sum, byte, index) => sum | (BigInt(byte) << BigInt(8 * index)), 0n);
    hash ^= scramble(block);
    if (at + 4 <= bytes.length) hash = (rotate(hash, 13n) * 5n + 0xe6546b64n) & mask;
  }
  hash ^= BigInt(bytes.length);
  hash = ((hash ^ (hash >> 16n)) * 0x85ebca6bn) & mask;
  hash = ((hash ^ (hash >> 13n)) * 0xc2b2ae35n) & mask;
  return BigInt.asIntN(32, hash ^ (hash >> 16n));
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}
