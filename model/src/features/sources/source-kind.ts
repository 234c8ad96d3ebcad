import type { Attributes } from '../../value.ts';
import type { HistoryFunctionKind } from '../functions/function-kind.ts';
import type { HistoryEvent } from '../history.ts';
import type { RawType } from '../raw-value.ts';
import type { PathPart } from '../source-path.ts';

/** Where raw values come from: one file each in this folder, listed in `registry.ts`. */
export interface SourceKind {
  /** First word of `from`. */
  readonly name: string;
  /** How `from` is written, for messages and documentation. */
  readonly forms: readonly string[];
  readonly documentation: string;
  /** A feature that uses it, as in model.yaml. */
  readonly example: string;
  /** Fields of a feature that have a meaning only for this kind. */
  readonly takes: readonly ('window' | 'max_age' | 'where' | 'by')[];
  /** Reads the rest of `from`. Throws RangeError that says how it must be written. */
  parse(path: readonly PathPart[], functions: ReadonlyMap<string, HistoryFunctionKind>): ParsedSource;
}

/** The fields of a feature that a source looks at. */
export interface SourceFields {
  readonly from: string;
  readonly window?: string | undefined;
  readonly max_age?: string | undefined;
  readonly where?: string | undefined;
  readonly by?: string | undefined;
}

export interface ParsedSource {
  readonly kind: string;
  /** Names of other features that this one is made of; they stand before it. */
  readonly uses?: readonly string[];
  /** Throws RangeError when other fields of the feature do not fit. */
  compile(feature: SourceFields): CompiledSource;
}

/** What must be read from the history before the plan can run. */
export interface HistoryNeed {
  readonly entity: string;
  readonly event: string;
  readonly windowMs: number;
  readonly limit: number;
  /** Newest events that must be events; 0 where summaries do. */
  readonly events: number;
  /** Where its own window begins, before now; infinite without one. */
  readonly edgeMs: number;
  /** Whether fields of the events are looked at, or only their times. */
  readonly fields: boolean;
}

/** What must be looked up in an uploaded table before the plan can run: the row whose key is the entity's id. */
export interface ReferenceNeed {
  readonly table: string;
  readonly entity: string;
}

export interface CompiledSource {
  readonly kind: string;
  /** The type it always gives; undefined where the feature decides. */
  readonly type: RawType | undefined;
  /** Values a row: N for last(N), otherwise 1. */
  readonly values: number;
  /** Differs from candidate to candidate. */
  readonly perCandidate: boolean;
  readonly history?: HistoryNeed;
  readonly reference?: ReferenceNeed;
  /** What the caller can do when the value is absent. */
  readonly remedy: string;
  /**
   * Puts `values` raw values of each of `rows` rows into `out.raw`, and into `out.found` how many of them there are. A row
   * without any says why in `out.absence`.
   */
  gather(context: GatherContext, rows: number, out: Gathered): void;
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
  /** Events of the feature's read for a row, newest first; undefined: the entity is not known. Null: the store did not answer. */
  readonly events: ((row: number) => readonly HistoryEvent[] | undefined) | null;
  /** The feature's row of its table; undefined: no such row. Null: the store did not answer. */
  readonly reference: ((row: number) => ReferenceRow | undefined) | null;
  /** Raw values of the features that this one uses, one a row; undefined where absent. */
  readonly used: readonly (readonly unknown[])[];
}

/** A row of an uploaded table. */
export interface ReferenceRow {
  readonly fields: Attributes;
  /** When the table's version was uploaded, milliseconds since 1970. */
  readonly atMs: number;
}
