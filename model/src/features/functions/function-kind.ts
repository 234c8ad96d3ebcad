import type { EventList } from '../event-list.ts';
import type { FieldSummary } from '../history.ts';
import type { RawType } from '../raw-value.ts';
import type { PathPart } from '../source-path.ts';

/** A function of the events of one entity and type: one file per function in this folder, listed in `registry.ts`. */
export interface HistoryFunctionKind {
  readonly name: string;
  /** How it is written, such as `sum(FIELD)`. */
  readonly form: string;
  readonly documentation: string;
  /**
   * The state it needs: `times` only counts or dates events; `sums` can be kept as one number per field and time
   * slice; `events` needs the events themselves.
   */
  readonly state: 'times' | 'sums' | 'events';
  /** Parses its part of `from`. Throws RangeError that says how it must be written. */
  parse(call: readonly PathPart[]): HistoryFold;
}

export interface HistoryFold {
  /** Maximum number of values: N for last(N), otherwise 1. */
  readonly values: number;
  /** The type of its values; undefined if the feature decides. */
  readonly type: RawType | undefined;
  /** Reads fields of the events, not only their times. */
  readonly fields: boolean;
  /** The newest event is enough. */
  readonly newestOnly: boolean;
  /** Can process summaries of several events; otherwise it only gets the events newer than the first summary. */
  readonly summaries: boolean;
  /** Limit on the newest events that it reads, if any. */
  readonly most?: number;
  /**
   * Appends up to `values` values, computed from the first `count` events of the list, to the empty `out`; none: the value is absent. An event
   * without the field, or with another type, is skipped: other callers wrote it, so it must not fail this request.
   */
  fold(list: EventList, count: number, nowMs: number, type: RawType, out: unknown[]): void;
}

/** Parses `NAME(FIELD)`. */
export function fieldOf(call: readonly PathPart[], form: string): string {
  const field = call.length === 1 && call[0]?.arguments?.length === 1 ? call[0].arguments[0] : undefined;
  if (field === undefined || !/^[A-Za-z_]/.test(field)) throw new RangeError(`must be written ${form}`);
  return field;
}

/** Parses `NAME`. */
export function checkPlain(call: readonly PathPart[], form: string): void {
  if (call.length !== 1 || call[0]?.arguments !== undefined) throw new RangeError(`must be written ${form}`);
}

/** A function that folds the numbers of one field; undefined: the value is absent. */
export function numberFold(
  name: string,
  documentation: string,
  state: HistoryFunctionKind['state'],
  apply: (numbers: FieldSummary) => number | undefined,
): HistoryFunctionKind {
  const form = `${name}(FIELD)`;
  return {
    name,
    form,
    documentation,
    state,
    parse(call) {
      const field = fieldOf(call, form);
      return {
        values: 1,
        type: 'number',
        fields: true,
        newestOnly: false,
        summaries: true,
        fold(list, count, _nowMs, _type, out) {
          const all = { count: 0, sum: 0, min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };
          const numbers = list.numbers(field);
          for (let index = 0; index < count; index++) {
            const number = numbers[index] as number;
            if (!Number.isNaN(number)) add(all, 1, number, number, number);
          }
          if (list.summaries !== undefined)
            for (let index = 0; index < count; index++) {
              const part = list.summaries[index]?.fields[field];
              if (part !== undefined) add(all, part.count, part.sum, part.min, part.max);
            }
          const value = apply(all);
          if (value !== undefined) out.push(value);
        },
      };
    },
  };
}

function add(
  all: { count: number; sum: number; min: number; max: number },
  ...[count, sum, min, max]: readonly [number, number, number, number]
): void {
  all.count += count;
  all.sum += sum;
  if (min < all.min) all.min = min;
  if (max > all.max) all.max = max;
}
