/** One input of the fused file. */
export interface FusedInput {
  /** `request.price`, `item.rating`, `entity.user`, `history.user.view.count`, or `feature.NAME` for ready columns. */
  readonly name: string;
  readonly type: 'float64' | 'string' | 'bool' | 'int8' | 'float32';
  /** Values a row: 1, N for last(N), or the columns of a feature that could not be fused. */
  readonly width: number;
  /** How an absent value is written; undefined: the value must be there. */
  readonly absent?: 'NaN' | 'U+001A' | '-1';
  /** For `feature.NAME` and history: why the graph does not compute it. */
  readonly why?: string;
  /** With `distinctTexts`: the only texts that the model tells apart; any other is as good as another. */
  readonly categories?: readonly string[];
}

/** The input beside one of distinct texts: int32[N], which of them each row has. */
export function rowsInputOf(input: string): string {
  return `${input} (row)`;
}
