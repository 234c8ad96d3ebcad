import type { Attributes } from '../../value.ts';
import type { EventList } from '../event-list.ts';
import type { HistoryFunctionKind } from '../functions/function-kind.ts';
import type { RawType } from '../raw-value.ts';
import type { PathPart } from '../source-path.ts';

/** A source of raw values: one file per source in this folder, listed in `registry.ts`. */
export interface SourceKind {
  /** First word of `from`. */
  readonly name: string;
  /** How `from` is written, for messages and documentation. */
  readonly forms: readonly string[];
  readonly documentation: string;
  /** A feature that uses it, as in model.yaml. */
  readonly example: string;
  /** Fields of a feature that only apply to this kind. */
  readonly takes: readonly ('window' | 'max_age' | 'where' | 'by')[];
  /** Parses the rest of `from`. Throws RangeError that says how it must be written. */
  parse(path: readonly PathPart[], functions: ReadonlyMap<string, HistoryFunctionKind>): ParsedSource;
}

/** The fields of a feature that a source reads. */
export interface SourceFields {
  readonly from: string;
  readonly window?: string | undefined;
  readonly max_age?: string | undefined;
  readonly where?: string | undefined;
  readonly by?: string | undefined;
}

export interface ParsedSource {
  readonly kind: string;
  /** Names of the earlier features that this one is computed from. */
  readonly uses?: readonly string[];
  /** Throws RangeError when other fields of the feature do not fit. */
  compile(feature: SourceFields): CompiledSource;
}

/** The history that must be read before the plan can run. */
export interface HistoryNeed {
  readonly entity: string;
  readonly event: string;
  readonly windowMs: number;
  readonly limit: number;
  /** How many of the newest events must be returned as events; 0 if summaries are enough. */
  readonly events: number;
  /** Start of its own window, before now; infinite without a window. */
  readonly edgeMs: number;
  /** Whether fields of the events are read, or only their times. */
  readonly fields: boolean;
}

/**
 * The row of an uploaded table that must be looked up before the plan can run: the one whose key is the entity's id.
 */
export interface ReferenceNeed {
  readonly table: string;
  readonly entity: string;
}

export interface CompiledSource {
  readonly kind: string;
  /** The type of its values; undefined if the feature decides. */
  readonly type: RawType | undefined;
  /** Values per row: N for last(N), otherwise 1. */
  readonly values: number;
  /** Differs from candidate to candidate. */
  readonly perCandidate: boolean;
  readonly history?: HistoryNeed;
  readonly reference?: ReferenceNeed;
  /** What the caller can do when the value is absent. */
  readonly remedy: string;
  /**
   * Writes `values` raw values for each of `rows` rows into `out.raw`, and their number into `out.found`. For a row
   * without any, the reason goes into `out.absence`.
   */
  gather(context: GatherContext, rows: number, out: Gathered): void;
  /**
   * A faster way for one value per row: writes the numbers of all rows. @returns false as soon as one is absent, no
   * number, not finite or outside the range; then `gather` has to look at each.
   */
  gatherNumbers?(context: GatherContext, rows: number, range: NumberRange, numbers: Float64Array): boolean;
}

/** Ends included. */
export interface NumberRange {
  readonly low: number;
  readonly high: number;
}

export interface Gathered {
  readonly raw: unknown[];
  readonly found: Uint16Array;
  /** FEATURE_STATUS of a row without values. */
  readonly absence: Uint8Array;
}

export interface GatherContext {
  readonly request: Attributes;
  readonly entities: Readonly<Record<string, string>>;
  /** Empty unless the task is ranking. */
  readonly candidates: readonly { readonly id: string; readonly attributes: Attributes }[];
  readonly nowMs: number;
  /** The type that the feature's raw values must have. */
  readonly type: RawType;
  /**
   * Events of the feature's read for a row, newest first; undefined: the entity is unknown. Null: the store did not
   * answer.
   */
  readonly events: ((row: number) => EventList | undefined) | null;
  /** The feature's row of its table; undefined: no such row. Null: the store did not answer. */
  readonly reference: ((row: number) => ReferenceRow | undefined) | null;
  /** Raw values of the features that this one uses, one per row; undefined where absent. */
  readonly used: readonly (readonly unknown[])[];
}

/** A row of an uploaded table. */
export interface ReferenceRow {
  readonly fields: Attributes;
  /** When the table's version was uploaded, milliseconds since 1970. */
  readonly atMs: number;
}
