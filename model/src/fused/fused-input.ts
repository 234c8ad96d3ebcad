/** One input of the fused file. */
export interface FusedInput {
  /**
   * `request.price`, `item.rating`, `entity.user`, `history.user.view.count`, or `feature.NAME` for precomputed
   * columns.
   */
  readonly name: string;
  readonly type: 'float64' | 'string' | 'bool' | 'int8' | 'float32';
  /** Values per row: 1, N for last(N), or the columns of a feature that could not be fused. */
  readonly width: number;
  /** How an absent value is represented; undefined: the value is required. */
  readonly absent?: 'NaN' | 'U+001A' | '-1';
  /** For `feature.NAME` and history: why the graph does not compute it. */
  readonly why?: string;
  /** With `distinctTexts`: the only texts that the model distinguishes; all others are equivalent. */
  readonly categories?: readonly string[];
}

/** The second input for an input of distinct texts: int32[N], the index of each row's text. */
export function rowsInputOf(input: string): string {
  return `${input} (row)`;
}
