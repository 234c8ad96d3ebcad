import { HotloopError } from '@hotloop/proto/errors.ts';
import { FEATURE_STATUS } from '../features/feature-status.ts';
import { columnsOf } from '../manifest/columns.ts';
import type { Manifest } from '../manifest/manifest.ts';
import type { Attributes } from '../value.ts';
import { type CompiledFeature, compileFeature } from './compile-feature.ts';
import type { RawValue } from './encoder.ts';
import { type ExcludeSource, parseExcludeSource } from './feature-source.ts';
import type { HistoryEvent, HistoryRead } from './history.ts';
import { historyReads, type PlannedRead, planHistoryReads, readIndex } from './history-reads.ts';
import { historyValues } from './history-values.ts';
import * as refuse from './refuse.ts';

/** What a prediction brings to the plan. Attributes are null-prototype objects: names come from outside. */
export interface FeatureInput {
  readonly request: Attributes;
  readonly entities: Readonly<Record<string, string>>;
  readonly candidates: readonly { readonly id: string; readonly attributes: Attributes }[];
}

/** Events of each read of `FeaturePlan.reads`, in its order; null when the store did not answer in time. */
export type HistoryAnswers = readonly (readonly HistoryEvent[])[] | null;

export interface FeatureRows {
  /** The number of candidates in task ranking, else 1. */
  readonly rows: number;
  readonly columns: number;
  /** float32 little endian, rows x columns; every one finite. */
  readonly features: Uint8Array;
  /** rows x features, FEATURE_STATUS codes. */
  readonly statuses: Uint8Array;
}

/** A version's feature plan: compiled once, pure, shared by all predictions of the version. */
export interface FeaturePlan {
  readonly columns: number;
  readonly featureNames: readonly string[];
  /** False: no prediction of this version ever asks the history. */
  readonly needsHistory: boolean;
  /** The history reads of one prediction, all to be answered in one round trip. Empty when nothing is to be read. */
  reads(input: FeatureInput, nowMs: number): HistoryRead[];
  /**
   * Computes the rows. Throws HotloopError naming the feature: INVALID_ARGUMENT (absent without a declared missing
   * value, of the wrong type, not finite, out of range), UNAVAILABLE (history is null and the feature declares no
   * missing value).
   */
  run(input: FeatureInput, history: HistoryAnswers, nowMs: number): FeatureRows;
  /** Ids that decision.rank.exclude rules out; empty when it names none, or history is null. */
  excluded(input: FeatureInput, history: HistoryAnswers): string[];
}

/** Throws FAILED_PRECONDITION naming the feature and the reason when the manifest cannot become a plan. */
export function compileFeaturePlan(manifest: Manifest): FeaturePlan {
  if (manifest.task === 'tensor')
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name} has task tensor and no features; ask for it by the Open Inference Protocol`,
    );
  const ranking = manifest.task === 'ranking';
  const layout = columnsOf(manifest);
  const features = manifest.features.map((feature, index) => {
    try {
      const columns = layout.features[index] ?? { offset: 0, width: 0 };
      return compileFeature(feature, columns, ranking);
    } catch (error) {
      throw refuse.badManifest(manifest.name, `feature ${feature.name}`, error);
    }
  });
  const exclude = compileExclude(manifest);
  const planned = planHistoryReads(features, exclude);
  return new CompiledPlan(manifest, layout.width, features, planned, exclude);
}

function compileExclude(manifest: Manifest): ExcludeSource | undefined {
  const text = manifest.decision.rank?.exclude;
  if (text === undefined) return undefined;
  const source = parseExcludeSource(text);
  if (source === undefined || source.entity === 'item')
    throw refuse.badManifest(
      manifest.name,
      'decision.rank.exclude',
      new RangeError('must be history.ENTITY.EVENT.FIELD of an entity that is not item'),
    );
  return source;
}

class CompiledPlan implements FeaturePlan {
  readonly columns: number;
  readonly featureNames: readonly string[];
  readonly needsHistory: boolean;
  readonly #ranking: boolean;
  readonly #features: readonly CompiledFeature[];
  readonly #reads: readonly PlannedRead[];
  readonly #readOf: Int32Array;
  readonly #excludeRead: number;
  readonly #exclude: ExcludeSource | undefined;
  // Filled and emptied within one feature; a plan never waits between the two.
  readonly #values: RawValue[] = [];

  constructor(
    manifest: Manifest,
    columns: number,
    features: readonly CompiledFeature[],
    planned: { reads: readonly PlannedRead[]; readOf: Int32Array; excludeRead: number },
    exclude: ExcludeSource | undefined,
  ) {
    this.columns = columns;
    this.featureNames = features.map((feature) => feature.name);
    this.needsHistory = planned.reads.length > 0;
    this.#ranking = manifest.task === 'ranking';
    this.#features = features;
    this.#reads = planned.reads;
    this.#readOf = planned.readOf;
    this.#excludeRead = planned.excludeRead;
    this.#exclude = exclude;
  }

  reads(input: FeatureInput, nowMs: number): HistoryRead[] {
    return historyReads(this.#reads, input, nowMs);
  }

  run(input: FeatureInput, history: HistoryAnswers, nowMs: number): FeatureRows {
    const rows = this.#ranking ? input.candidates.length : 1;
    const out = new Float32Array(rows * this.columns);
    const statuses = new Uint8Array(rows * this.#features.length);
    for (let index = 0; index < this.#features.length; index++) {
      const feature = this.#features[index] as CompiledFeature;
      const computed = feature.shared ? Math.min(rows, 1) : rows;
      for (let row = 0; row < computed; row++) {
        const at = row * this.columns + feature.offset;
        statuses[row * this.#features.length + index] = this.#write(
          feature,
          index,
          input,
          row,
          history,
          nowMs,
          out,
          at,
        );
      }
      for (let row = computed; row < rows; row++) {
        const at = row * this.columns + feature.offset;
        out.copyWithin(at, feature.offset, feature.offset + feature.width);
        statuses[row * this.#features.length + index] = statuses[index] as number;
      }
    }
    // Little endian because every platform that Node 24 runs on is.
    return { rows, columns: this.columns, features: new Uint8Array(out.buffer), statuses };
  }

  excluded(input: FeatureInput, history: HistoryAnswers): string[] {
    const exclude = this.#exclude;
    if (exclude === undefined || history === null) return [];
    const read = readIndex(this.#reads, this.#excludeRead, 0, input);
    const ids = new Set<string>();
    for (const event of (read < 0 ? undefined : history[read]) ?? []) {
      const value = event.fields[exclude.field];
      if (typeof value === 'string' || typeof value === 'number') ids.add(String(value));
      else if (Array.isArray(value)) for (const id of value) ids.add(String(id));
    }
    return [...ids];
  }

  /** Writes one feature of one row; returns its status. */
  #write(
    feature: CompiledFeature,
    index: number,
    input: FeatureInput,
    row: number,
    history: HistoryAnswers,
    nowMs: number,
    out: Float32Array,
    at: number,
  ): number {
    const source = feature.source;
    const candidate = this.#ranking ? input.candidates[row] : undefined;
    switch (source.kind) {
      case 'request':
        return writeValue(feature, input.request[source.field], candidate, out, at);
      case 'item':
        return writeValue(feature, candidate?.attributes[source.field], candidate, out, at);
      case 'entity': {
        const id = source.entity === 'item' && candidate ? candidate.id : input.entities[source.entity];
        return writeValue(feature, id, candidate, out, at);
      }
      case 'history': {
        if (history === null) return writeMissing(feature, FEATURE_STATUS.degraded, candidate, out, at);
        const read = readIndex(this.#reads, this.#readOf[index] as number, row, input);
        const events = read < 0 ? undefined : history[read];
        if (events === undefined) return writeMissing(feature, FEATURE_STATUS.missing, candidate, out, at);
        const newest = events[0];
        if (newest !== undefined && nowMs - newest.atMs > feature.maxAgeMs)
          return writeMissing(feature, FEATURE_STATUS.stale, candidate, out, at);
        const sinceMs = nowMs - feature.windowMs;
        historyValues(source.function, feature.encoder.type, events, sinceMs, nowMs, this.#values);
        return writeValues(feature, this.#values, candidate, out, at);
      }
    }
  }
}

function writeValue(
  feature: CompiledFeature,
  value: unknown,
  candidate: { readonly id: string } | undefined,
  out: Float32Array,
  at: number,
): number {
  if (value === undefined) return writeMissing(feature, FEATURE_STATUS.missing, candidate, out, at);
  const type = feature.encoder.type;
  if (type === 'number') {
    if (typeof value !== 'number') throw refuse.mistyped(feature, value, candidate);
    if (!Number.isFinite(value)) throw refuse.notFinite(feature, value, candidate);
    if (value < feature.low || value > feature.high) throw refuse.outOfRange(feature, value, candidate);
  } else if (typeof value !== (type === 'text' ? 'string' : 'boolean'))
    throw refuse.mistyped(feature, value, candidate);
  if (!feature.encoder.encode(value as RawValue, out, at)) throw refuse.notFinite(feature, value, candidate);
  return FEATURE_STATUS.present;
}

/** last(N) makes N values: those that are not there take the missing value, each by itself. */
function writeValues(
  feature: CompiledFeature,
  values: readonly RawValue[],
  candidate: { readonly id: string } | undefined,
  out: Float32Array,
  at: number,
): number {
  const width = feature.encoder.width;
  for (let index = 0; index < values.length; index++)
    writeValue(feature, values[index], candidate, out, at + index * width);
  if (values.length === feature.values) return FEATURE_STATUS.present;
  if (feature.missing === undefined) throw refuse.tooFew(feature, values.length, candidate);
  for (let index = values.length; index < feature.values; index++)
    out.set(feature.missing, at + index * width);
  return values.length === 0 ? FEATURE_STATUS.missing : FEATURE_STATUS.present;
}

function writeMissing(
  feature: CompiledFeature,
  status: number,
  candidate: { readonly id: string } | undefined,
  out: Float32Array,
  at: number,
): number {
  if (feature.missing === undefined) throw refuse.absent(feature, status, candidate);
  const width = feature.encoder.width;
  for (let index = 0; index < feature.values; index++) out.set(feature.missing, at + index * width);
  return status;
}
