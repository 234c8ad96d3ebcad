import type { CompiledFeature } from './compile-feature.ts';
import { FEATURE_STATUS } from './feature-status.ts';
import type { InputBuffer } from './input-buffer.ts';
import type { Placed } from './input-layout.ts';
import type { FeatureInput, HistoryAnswers } from './plan-input.ts';
import { isOfType } from './raw-value.ts';
import type { ReferenceAnswers } from './reference-reads.ts';
import * as refuse from './refuse.ts';
import { runStages } from './run-stages.ts';
import type { GatherContext } from './sources/source-kind.ts';

/** State of one prediction while the plan runs. */
export interface PlanRun {
  readonly input: FeatureInput;
  /** Empty unless the task is ranking. */
  readonly candidates: FeatureInput['candidates'];
  readonly rows: number;
  readonly nowMs: number;
  readonly history: HistoryAnswers;
  /** For each planned read, the index of its first answer; -1: none. */
  readonly readOffsets: Int32Array;
  readonly references: ReferenceAnswers;
  readonly referenceOffsets: Int32Array;
  readonly buffers: readonly InputBuffer[];
  /** rows x features. */
  readonly statuses: Uint8Array;
  readonly program: readonly FeatureRunner[];
  /** Raw values are looked at afterwards. */
  readonly keepsRaw: boolean;
}

export interface FeaturePlace {
  readonly index: number;
  /** Number of features of the plan. */
  readonly features: number;
  readonly placed: Placed;
  /** Indices of the planned read and the planned reference; -1: none. */
  readonly read: number;
  readonly reference: number;
  /** Other features are computed from its raw values. */
  readonly keepsRaw: boolean;
}

const NO_EVENTS = () => undefined;

/**
 * One step of a plan's program: gathers a feature's raw values of all rows, checks them, runs its transforms over all
 * of them at once, and writes its columns. The arrays are reused for the next prediction and grow to the largest;
 * this is safe because a plan never waits between writing and reading them.
 */
export class FeatureRunner {
  readonly #feature: CompiledFeature;
  readonly #place: FeaturePlace;
  /** Numbers without allowed values, which neither transforms nor other features read as raw values. */
  readonly #isPlain: boolean;
  readonly #raw: unknown[] = [];
  #numbers = new Float64Array(16);
  #found = new Uint16Array(16);
  #absence = new Uint8Array(16);
  readonly #context: { -readonly [K in keyof GatherContext]: GatherContext[K] };

  constructor(feature: CompiledFeature, place: FeaturePlace) {
    this.#feature = feature;
    this.#place = place;
    this.#isPlain =
      feature.type === 'number' &&
      feature.values === 1 &&
      feature.allowed === undefined &&
      !place.keepsRaw &&
      feature.encoder.stages.every(({ stage }) => stage === 'numbers');
    this.#context = {
      request: {},
      entities: {},
      candidates: [],
      nowMs: 0,
      type: feature.type,
      events: NO_EVENTS,
      reference: NO_EVENTS,
      used: [],
    };
  }

  /** The raw values of the last run, one per row; only the first row's if all rows are the same. */
  get raw(): readonly unknown[] {
    return this.#raw;
  }

  run(run: PlanRun): void {
    const feature = this.#feature;
    const { shared, values } = feature;
    const rows = shared ? Math.min(run.rows, 1) : run.rows;
    this.#grow(rows * values, rows);
    if (!this.#takeNumbers(run, rows)) {
      this.#gather(run, rows);
      this.#check(run, rows);
    }
    const { index, features, placed } = this.#place;
    if (this.#place.keepsRaw) for (let row = rows; row < run.rows; row++) this.#raw[row] = this.#raw[0];
    if (shared) {
      const status = run.statuses[index] as number;
      if (status !== 0)
        for (let row = rows; row < run.rows; row++) run.statuses[row * features + index] = status;
    }
    const buffer = run.buffers[placed.input];
    if (buffer === undefined) return;
    runStages(feature.encoder.stages, this.#raw, this.#numbers, rows * values);
    this.#write(run, buffer, rows);
    if (shared && run.rows > 1) buffer.repeat(placed.offset, placed.width);
  }

  /** True when all rows are numbers that need no closer look; they are in `#numbers` then, and `#raw` is of an earlier run. */
  #takeNumbers(run: PlanRun, rows: number): boolean {
    if (!this.#isPlain || run.keepsRaw) return false;
    const { source } = this.#feature;
    this.#context.candidates = run.candidates;
    return source.gatherNumbers?.(this.#context, rows, this.#feature, this.#numbers) === true;
  }

  #grow(cells: number, rows: number): void {
    if (this.#numbers.length < cells) this.#numbers = new Float64Array(2 * cells);
    if (this.#found.length < rows) {
      this.#found = new Uint16Array(2 * rows);
      this.#absence = new Uint8Array(2 * rows);
    }
  }

  #gather(run: PlanRun, rows: number): void {
    const { source, shared, uses } = this.#feature;
    const context = this.#context;
    const { read, reference } = this.#place;
    context.request = run.input.request;
    context.entities = run.input.entities;
    context.candidates = run.candidates;
    context.nowMs = run.nowMs;
    if (read >= 0) context.events = answersFor(run.history, run.readOffsets[read] as number, shared);
    if (reference >= 0)
      context.reference = answersFor(run.references, run.referenceOffsets[reference] as number, shared);
    if (uses.length > 0) context.used = uses.map((place) => run.program[place]?.raw ?? []);
    source.gather(context, rows, { raw: this.#raw, found: this.#found, absence: this.#absence });
    if (this.#feature.image === undefined) return;
    const decoded = run.input.images?.get(this.#feature.name);
    for (let row = 0; row < rows; row++) this.#raw[row] = decoded?.[row] ?? this.#raw[row];
  }

  /** Checks the values found, inserts the missing value where there was none, and sets the numbers and the statuses. */
  #check(run: PlanRun, rows: number): void {
    const feature = this.#feature;
    const { values, type } = feature;
    const { index, features } = this.#place;
    const isNumber = type === 'number';
    const raw = this.#raw;
    const numbers = this.#numbers;
    const { low, high } = feature;
    const plain = feature.allowed === undefined;
    for (let row = 0; row < rows; row++) {
      const found = this.#found[row] as number;
      let status: number = FEATURE_STATUS.FRESH;
      const first = row * values;
      for (let at = first; at < first + found; at++) {
        const value = raw[at];
        // Written so that NaN fails it too.
        if (
          isNumber &&
          plain &&
          typeof value === 'number' &&
          value >= low &&
          value <= high &&
          value - value === 0
        )
          numbers[at] = value;
        else status = this.#checkOne(run, row, at, value) || status;
      }
      if (found < values) {
        if (feature.missing === undefined) throw this.#absent(run, row, found);
        for (let at = first + found; at < first + values; at++) this.#put(at, feature.missing);
        if (found === 0) status = this.#absence[row] as number;
      }
      if (status !== 0) run.statuses[row * features + index] = status;
    }
  }

  /** Returns the status of a value outside the fast path; throws when the value is rejected. */
  #checkOne(run: PlanRun, row: number, at: number, value: unknown): number {
    const feature = this.#feature;
    const candidate = run.candidates[row];
    if (!isOfType(value, feature.type)) throw refuse.mistyped(feature, value, candidate);
    if (typeof value === 'number') {
      if (feature.takesNaN && Number.isNaN(value)) {
        this.#put(at, value);
        return FEATURE_STATUS.MISSING;
      }
      if (!Number.isFinite(value)) throw refuse.notFinite(feature, value, candidate);
    }
    const isOutside = typeof value === 'number' && (value < feature.low || value > feature.high);
    if (!isOutside && (feature.allowed === undefined || feature.allowed.has(value))) {
      this.#put(at, value);
      return FEATURE_STATUS.FRESH;
    }
    switch (feature.outside) {
      case 'keep':
        this.#put(at, value);
        return FEATURE_STATUS.OUT_OF_RANGE;
      case 'default':
        this.#put(at, feature.missing);
        return FEATURE_STATUS.DEFAULTED;
      case 'clip':
        if (isOutside) {
          this.#put(at, (value as number) < feature.low ? feature.low : feature.high);
          return FEATURE_STATUS.CLIPPED;
        }
        throw refuse.notAllowed(feature, value, candidate);
      case 'reject':
        throw isOutside
          ? refuse.outOfRange(feature, value as number, candidate)
          : refuse.notAllowed(feature, value, candidate);
    }
  }

  #put(at: number, value: unknown): void {
    this.#raw[at] = value;
    if (typeof value === 'number' || typeof value === 'boolean') this.#numbers[at] = Number(value);
  }

  #absent(run: PlanRun, row: number, found: number): Error {
    const feature = this.#feature;
    const candidate = run.candidates[row];
    const absence = this.#absence[row] as number;
    if (feature.values > 1 && absence === FEATURE_STATUS.MISSING)
      return refuse.tooFew(feature, found, candidate);
    return refuse.absent(feature, absence, candidate, run.input.request);
  }

  #write(run: PlanRun, buffer: InputBuffer, rows: number): void {
    const { encoder, values, takesNaN } = this.#feature;
    const { offset } = this.#place.placed;
    const stride = buffer.width;
    if (values === 1 && encoder.leaves === 'numbers' && encoder.dtype === 'float32') {
      const bad = writeFloats(this.#numbers, buffer.floats, rows, offset, stride, takesNaN);
      if (bad >= 0) throw this.#notHeld(run, bad, 1);
      return;
    }
    const width = encoder.width;
    for (let row = 0; row < rows; row++)
      for (let index = 0; index < values; index++) {
        const at = row * stride + offset + index * width;
        const place = row * values + index;
        if (!buffer.write(encoder, this.#raw, this.#numbers, place, at, takesNaN))
          throw this.#notHeld(run, place, values);
      }
  }

  #notHeld(run: PlanRun, place: number, values: number): Error {
    const candidate = run.candidates[Math.floor(place / values)];
    this.#gather(run, this.#feature.shared ? Math.min(run.rows, 1) : run.rows);
    return refuse.notFinite(this.#feature, this.#raw[place], candidate);
  }
}

/** Smallest magnitude that rounds to infinity in float32. */
const FLOAT32_LIMIT = 3.4028235677973366e38;

/** Writes one column; returns the first row whose number float32 cannot represent, or -1. */
function writeFloats(
  numbers: Float64Array,
  floats: Float32Array,
  rows: number,
  offset: number,
  stride: number,
  takesNaN: boolean,
): number {
  for (let row = 0, at = offset; row < rows; row++, at += stride) {
    const number = numbers[row] as number;
    // Written as a comparison so that NaN fails it too.
    if (!(Math.abs(number) < FLOAT32_LIMIT) && !(takesNaN && Number.isNaN(number))) return row;
    floats[at] = number;
  }
  return -1;
}

function answersFor<T>(
  answers: readonly (T | undefined)[] | null,
  offset: number,
  shared: boolean,
): ((row: number) => T | undefined) | null {
  if (answers === null) return null;
  if (offset < 0) return NO_EVENTS;
  return shared ? () => answers[offset] : (row) => answers[offset + row];
}
