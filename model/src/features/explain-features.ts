import type { FeatureStatusName } from './feature-status.ts';

/** The value of one feature in one row, and how it was computed. */
export interface ExplainedFeature {
  readonly feature: string;
  /** Its source as written in model.yaml. */
  readonly source: string;
  readonly status: FeatureStatusName;
  /** Empty when the prediction has no candidates. */
  readonly candidate: string;
  /** Its raw values before the transforms: one, or N for last(N). */
  readonly raw: readonly unknown[];
  /** The ONNX input that it feeds; empty: the only one. */
  readonly input: string;
  /** Its columns. NaN is null, as in JSON. */
  readonly columns: readonly ExplainedColumn[];
}

export interface ExplainedColumn {
  /** Index in its input, from 0. */
  readonly index: number;
  readonly name: string;
  readonly value: number | string | null;
}

/** Readable names of a feature's columns: `segment=loyal`, `hour.sin`, `price[2]`. */
export function columnNames(
  name: string,
  transform: readonly unknown[],
  values: number,
  width: number,
): string[] {
  const last = transform.at(-1);
  const parts = typeof last === 'object' && last !== null ? partsOf(last, width) : undefined;
  return Array.from({ length: values * width }, (_, column) => {
    const place = values === 1 ? '' : `[${Math.floor(column / width)}]`;
    const part = width === 1 ? '' : (parts?.[column % width] ?? `[${column % width}]`);
    return `${name}${place}${part}`;
  });
}

function partsOf(transform: object, width: number): string[] | undefined {
  const [categories] = Object.values(transform) as unknown[];
  if ('one_hot' in transform || 'multi_hot' in transform)
    return (categories as unknown[]).map((category) => `=${category}`);
  return 'time' in transform && width === 2 ? ['.sin', '.cos'] : undefined;
}
