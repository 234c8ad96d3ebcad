import type { InferencePort, InferItem, InferOutput } from '@hotloop/platform/ports/inference.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

/** The probability that `LogisticInference` returns for a row. */
export function logistic(row: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < row.length; index++) sum += (row[index] ?? 0) * WEIGHTS(index);
  return 1 / (1 + Math.exp(-sum));
}

const WEIGHTS = (index: number): number => (index % 2 === 0 ? 0.5 : -0.25);

/** A minimal compute: logistic regression over the rows, in memory. Records its requests. */
export class LogisticInference implements InferencePort {
  readonly items: InferItem[] = [];
  /** Predictions whose caller cancelled before they were answered. */
  readonly abandoned: string[] = [];
  /** Delays every answer until it resolves. */
  hold: Promise<void> | undefined;
  /** Error of the next call. */
  failure: HotloopError | undefined;

  async infer(item: InferItem, signal?: AbortSignal): Promise<InferOutput> {
    this.items.push(item);
    if (this.failure) throw this.failure;
    signal?.addEventListener('abort', () => this.abandoned.push(item.predictionId), { once: true });
    await this.hold;
    if (signal?.aborted) throw new HotloopError('CANCELLED', 'the caller cancelled');
    const rows = new Float32Array(new Uint8Array(item.features).buffer);
    const scores = Float32Array.from({ length: item.rows }, (_, row) =>
      logistic(rows.subarray(row * item.columns, (row + 1) * item.columns)),
    );
    const contents = new Uint8Array(scores.buffer);
    return {
      outputs: [{ name: 'probability', datatype: 'FP32', shape: [item.rows, 1], contents }],
      queueUs: 0,
      runUs: 1,
    };
  }
}
