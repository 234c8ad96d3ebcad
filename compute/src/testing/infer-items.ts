import type { InferItem } from '@hotloop/platform/ports/inference.ts';
import { type PredictionIds, randomPredictionIds } from '@hotloop/proto/prediction-id.ts';

/** An item of feature rows. */
type RowsItem = Omit<InferItem, 'tensors'>;

/** Creates items with new ids: rows of the given values for `model` version `version`. */
export function itemMaker(ids: PredictionIds = randomPredictionIds()) {
  return (
    model: string,
    version: number,
    values: readonly (readonly number[])[],
    overrides: Partial<RowsItem> = {},
  ): RowsItem => {
    const columns = values[0]?.length ?? 0;
    return {
      predictionId: ids.next(Date.now()),
      model,
      version,
      variant: 'live',
      caller: 'test',
      entities: { user: 'u1' },
      candidates: [],
      rows: values.length,
      columns,
      features: new Uint8Array(Float32Array.from(values.flat()).buffer),
      statuses: new Uint8Array(values.length * columns),
      degraded: [],
      timeoutMs: 10_000,
      priority: 0,
      sampled: false,
      ...overrides,
    };
  };
}

/** The numbers of an FP32 tensor. */
export function floatsOf(contents: Uint8Array): number[] {
  return [...new Float32Array(Uint8Array.from(contents).buffer)];
}
