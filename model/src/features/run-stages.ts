import type { Encoder } from './encoder.ts';
import { InputBuffer } from './input-buffer.ts';
import type { Stage } from './transforms/transform-kind.ts';

/**
 * Runs the stages that change numbers over the first `count` values; the last stage is done by `InputBuffer`.
 * `numbers` must already contain the values when `raw` are numbers or flags.
 */
export function runStages(
  stages: readonly Stage[],
  raw: readonly unknown[],
  numbers: Float64Array,
  count: number,
): void {
  for (let index = 0; index < stages.length; index++) {
    const stage = stages[index] as Stage;
    if (stage.stage !== 'columns')
      if (stage.stage === 'numbers') stage.apply(numbers, count);
      else stage.apply(raw, numbers, count);
  }
}

/** Encodes raw values; undefined when one cannot be represented. */
export function encodeValues(encoder: Encoder, raw: readonly unknown[]): InputBuffer | undefined {
  const numbers = Float64Array.from(raw, (value) =>
    typeof value === 'object' || typeof value === 'string' ? 0 : Number(value),
  );
  runStages(encoder.stages, raw, numbers, raw.length);
  const buffer = new InputBuffer(encoder.dtype, raw.length, encoder.width);
  for (let index = 0; index < raw.length; index++)
    if (!buffer.write(encoder, raw, numbers, index, index * encoder.width, false)) return undefined;
  return buffer;
}
