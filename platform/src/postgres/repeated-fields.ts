import type { CopyRow } from './copy-row.ts';

/**
 * Adjacent fields whose values seldom change from one row to the next: encoded once, and copied as long as they are
 * the same, which costs a tenth. Serves one writer of rows.
 */
export class RepeatedFields<Values> {
  readonly #fields: number;
  readonly #isSame: (values: Values, last: Values) => boolean;
  readonly #write: (values: Values, into: CopyRow) => void;
  readonly #keep: (values: Values) => Values;
  #last: Values | undefined;
  #bytes: Uint8Array = new Uint8Array();

  /** `keep` extracts the fields to compare, so that the rest of a row is not kept in memory. */
  constructor(parts: {
    readonly fields: number;
    readonly isSame: (values: Values, last: Values) => boolean;
    readonly write: (values: Values, into: CopyRow) => void;
    readonly keep: (values: Values) => Values;
  }) {
    this.#fields = parts.fields;
    this.#isSame = parts.isSame;
    this.#write = parts.write;
    this.#keep = parts.keep;
  }

  write(values: Values, into: CopyRow): void {
    if (this.#last !== undefined && this.#isSame(values, this.#last)) {
      into.copied(this.#bytes, this.#fields);
      return;
    }
    const start = into.length;
    this.#write(values, into);
    this.#bytes = Uint8Array.from(into.bytes(start));
    this.#last = this.#keep(values);
  }
}
