import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Manifest } from '../manifest/manifest.ts';
import type { Tensor } from '../tensor.ts';
import { type CompiledFeature, compileFeatures, FeatureProblem } from './compile-feature.ts';
import { type ExcludeSource, parseExcludeSource } from './exclude-source.ts';
import { columnNames, type ExplainedFeature } from './explain-features.ts';
import { FEATURE_STATUS_NAMES } from './feature-status.ts';
import type { HistoryRead } from './history.ts';
import { historyReads, type PlannedRead, planHistoryReads, readOffsets } from './history-reads.ts';
import type { ImageRead } from './image.ts';
import { imageReads } from './image-reads.ts';
import { DATATYPE_OF, InputBuffer } from './input-buffer.ts';
import { type InputLayout, type Layout, layOut, type Placed } from './input-layout.ts';
import type { FeatureInput, HistoryAnswers } from './plan-input.ts';
import {
  type PlannedReference,
  planReferences,
  type ReferenceAnswers,
  type ReferenceRead,
  referenceReads,
} from './reference-reads.ts';
import * as refuse from './refuse.ts';
import { FeatureRunner } from './run-feature.ts';

export type { FeatureInput, HistoryAnswers } from './plan-input.ts';

export interface FeatureRows {
  /** The number of candidates for task ranking, else 1. */
  readonly rows: number;
  /** Columns of the feature matrix; 0 when the features feed `tensors` instead. */
  readonly columns: number;
  /** float32 little endian, rows x columns. Finite, except for features whose missing value is NaN. */
  readonly features: Uint8Array;
  /** One tensor per ONNX input, when the model has several inputs, or one that is not float32; otherwise empty. */
  readonly tensors: readonly Tensor[];
  /** rows x features, FEATURE_STATUS codes. */
  readonly statuses: Uint8Array;
}

/** A version's feature plan: compiled once, pure, shared by all predictions of the version. */
export interface FeaturePlan {
  /** Cells per row, over all inputs. */
  readonly columns: number;
  readonly featureNames: readonly string[];
  readonly inputs: readonly InputLayout[];
  readonly placed: readonly Placed[];
  /** False: no prediction of this version reads the history. */
  readonly needsHistory: boolean;
  /** False: no prediction of this version reads an uploaded table. */
  readonly needsReference: boolean;
  /** False: no prediction of this version has images. */
  readonly needsImages: boolean;
  /** The history reads of one prediction, for a single round trip. Empty when there is nothing to read. */
  reads(input: FeatureInput, nowMs: number): HistoryRead[];
  /** The rows of uploaded tables that one prediction needs. */
  references(input: FeatureInput): ReferenceRead[];
  /** The images to decode into `FeatureInput.images` before `run`. */
  images(input: FeatureInput): ImageRead[];
  /**
   * Computes the rows. Throws HotloopError naming the feature: INVALID_ARGUMENT (absent without a declared missing
   * value, wrong type, not finite, out of range), UNAVAILABLE (history is null and the feature declares no missing
   * value).
   */
  run(
    input: FeatureInput,
    history: HistoryAnswers,
    nowMs: number,
    references?: ReferenceAnswers,
  ): FeatureRows;
  /**
   * Explains the result of `run`: every feature of every row with its raw values, columns and status. Throws as `run`
   * does.
   */
  explain(
    input: FeatureInput,
    history: HistoryAnswers,
    nowMs: number,
    references?: ReferenceAnswers,
  ): ExplainedFeature[];
  /** Ids that decision.rank.exclude rules out; empty when it names none, or history is null. */
  excluded(input: FeatureInput, history: HistoryAnswers): string[];
}

/** Throws FAILED_PRECONDITION naming the feature and the reason when the manifest cannot be compiled. */
export function compileFeaturePlan(manifest: Manifest): FeaturePlan {
  if (manifest.task === 'tensor')
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name} has task tensor and no features; ask for it by the Open Inference Protocol`,
    );
  let features: readonly CompiledFeature[];
  let layout: Layout;
  try {
    features = compileFeatures(manifest.features, manifest.task === 'ranking');
    layout = layOut(features);
  } catch (error) {
    const where = error instanceof FeatureProblem ? `feature ${error.feature}` : 'features';
    throw refuse.badManifest(manifest.name, where, error);
  }
  return new CompiledPlan(manifest, features, layout, compileExclude(manifest));
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
  readonly inputs: readonly InputLayout[];
  readonly placed: readonly Placed[];
  readonly needsHistory: boolean;
  readonly needsReference: boolean;
  readonly needsImages: boolean;
  readonly #name: string;
  readonly #ranking: boolean;
  readonly #isMatrix: boolean;
  readonly #reads: readonly PlannedRead[];
  readonly #references: readonly PlannedReference[];
  readonly #readOffsets: Int32Array;
  readonly #referenceOffsets: Int32Array;
  readonly #excludeRead: number;
  readonly #exclude: ExcludeSource | undefined;
  readonly #program: readonly FeatureRunner[];
  readonly #features: readonly CompiledFeature[];
  readonly #columnNames: readonly (readonly string[])[];

  constructor(
    manifest: Manifest,
    features: readonly CompiledFeature[],
    layout: Layout,
    exclude: ExcludeSource | undefined,
  ) {
    const { reads, readOf, excludeRead } = planHistoryReads(features, exclude);
    const { references, referenceOf } = planReferences(features);
    this.columns = layout.inputs.reduce((sum, { width }) => sum + width, 0);
    this.featureNames = features.map((feature) => feature.name);
    this.inputs = layout.inputs;
    this.placed = layout.placed;
    this.needsHistory = reads.length > 0;
    this.needsReference = references.length > 0;
    this.needsImages = features.some(({ image }) => image !== undefined);
    this.#name = manifest.input ?? 'features';
    this.#ranking = manifest.task === 'ranking';
    this.#isMatrix = layout.isMatrix;
    this.#reads = reads;
    this.#references = references;
    this.#readOffsets = new Int32Array(reads.length);
    this.#referenceOffsets = new Int32Array(references.length);
    this.#excludeRead = excludeRead;
    this.#exclude = exclude;
    this.#features = features;
    this.#columnNames = features.map(({ name, values, encoder }, index) =>
      columnNames(name, manifest.features[index]?.transform ?? [], values, encoder.width),
    );
    const isUsed = new Set(features.flatMap(({ uses }) => uses));
    this.#program = features.map(
      (feature, index) =>
        new FeatureRunner(feature, {
          index,
          features: features.length,
          placed: layout.placed[index] as Placed,
          read: readOf[index] as number,
          reference: referenceOf[index] as number,
          keepsRaw: isUsed.has(index),
        }),
    );
  }

  reads(input: FeatureInput, nowMs: number): HistoryRead[] {
    return historyReads(this.#reads, input, nowMs);
  }

  references(input: FeatureInput): ReferenceRead[] {
    return referenceReads(this.#references, input);
  }

  images(input: FeatureInput): ImageRead[] {
    return imageReads(this.#features, input, this.#ranking);
  }

  run(
    input: FeatureInput,
    history: HistoryAnswers,
    nowMs: number,
    references: ReferenceAnswers = NO_ROWS,
  ): FeatureRows {
    const { rows, buffers, statuses } = this.#compute(input, history, nowMs, references, false);
    if (this.#isMatrix) {
      const features = buffers[0]?.contents() ?? new Uint8Array();
      return { rows, columns: this.columns, features, tensors: NO_TENSORS, statuses };
    }
    const tensors = buffers.map((buffer, index) => {
      const { name, dtype, shape, width } = this.inputs[index] as InputLayout;
      return {
        name: name ?? this.#name,
        datatype: DATATYPE_OF[dtype],
        shape: [rows, ...(shape ?? [width])],
        contents: buffer.contents(),
      };
    });
    return { rows, columns: 0, features: new Uint8Array(), tensors, statuses };
  }

  explain(
    input: FeatureInput,
    history: HistoryAnswers,
    nowMs: number,
    references: ReferenceAnswers = NO_ROWS,
  ): ExplainedFeature[] {
    const { rows, buffers, statuses } = this.#compute(input, history, nowMs, references, true);
    return Array.from({ length: rows }, (_, row) => row).flatMap((row) =>
      this.#features.map((feature, index): ExplainedFeature => {
        const { input: place, offset, width } = this.placed[index] as Placed;
        const buffer = buffers[place];
        const first = (feature.shared ? 0 : row) * feature.values;
        return {
          feature: feature.name,
          source: feature.from,
          status: FEATURE_STATUS_NAMES[statuses[row * this.#features.length + index] as number] ?? 'MISSING',
          candidate: this.#ranking ? (input.candidates[row]?.id ?? '') : '',
          raw: (this.#program[index] as FeatureRunner).raw
            .slice(first, first + feature.values)
            .map((value) => (value instanceof Float32Array ? 'an image' : value)),
          input: feature.input ?? '',
          columns: Array.from({ length: Math.min(width, EXPLAINED_COLUMNS) }, (_, column) => ({
            index: offset + column,
            name: this.#columnNames[index]?.[column] ?? '',
            value: buffer?.cell(row * buffer.width + offset + column) ?? null,
          })),
        };
      }),
    );
  }

  #compute(
    input: FeatureInput,
    history: HistoryAnswers,
    nowMs: number,
    references: ReferenceAnswers,
    keepsRaw: boolean,
  ): { rows: number; buffers: readonly InputBuffer[]; statuses: Uint8Array } {
    const rows = this.#ranking ? input.candidates.length : 1;
    const statuses = new Uint8Array(rows * this.#program.length);
    const buffers = this.inputs.map(({ dtype, width }) => new InputBuffer(dtype, rows, width));
    readOffsets(this.#reads, input, this.#readOffsets);
    referenceOffsets(this.#references, input, this.#referenceOffsets);
    const run = {
      input,
      candidates: this.#ranking ? input.candidates : NO_CANDIDATES,
      rows,
      nowMs,
      history,
      readOffsets: this.#readOffsets,
      references,
      referenceOffsets: this.#referenceOffsets,
      buffers,
      statuses,
      program: this.#program,
      keepsRaw,
    };
    for (let index = 0; index < this.#program.length; index++)
      (this.#program[index] as FeatureRunner).run(run);
    return { rows, buffers, statuses };
  }

  excluded(input: FeatureInput, history: HistoryAnswers): string[] {
    const exclude = this.#exclude;
    if (exclude === undefined || history === null) return [];
    readOffsets(this.#reads, input, this.#readOffsets);
    const read = this.#readOffsets[this.#excludeRead] as number;
    const ids = new Set<string>();
    const list = read < 0 ? undefined : history[read];
    for (let index = 0; index < (list?.length ?? 0); index++) {
      const value = list?.event(index).fields[exclude.field];
      if (typeof value === 'string' || typeof value === 'number') ids.add(String(value));
      else if (Array.isArray(value)) for (const id of value) ids.add(String(id));
    }
    return [...ids];
  }
}

/** Largest number of columns of one feature in an explanation; an image has more. */
const EXPLAINED_COLUMNS = 4096;

const NO_ROWS: ReferenceAnswers = [];
const NO_TENSORS: readonly Tensor[] = [];
const NO_CANDIDATES: FeatureInput['candidates'] = [];

function referenceOffsets(
  planned: readonly PlannedReference[],
  { entities, candidates }: FeatureInput,
  offsets: Int32Array,
): void {
  let next = 0;
  for (let at = 0; at < planned.length; at++) {
    const { perCandidate, entity } = planned[at] as PlannedReference;
    const isNamed = perCandidate || entities[entity] !== undefined;
    offsets[at] = isNamed ? next : -1;
    next += perCandidate ? candidates.length : Number(isNamed);
  }
}
