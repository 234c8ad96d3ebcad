import { isCondition } from '../expression.ts';
import { HISTORY_AGE_MS } from '../features/history.ts';
import { columnsOf } from './columns.ts';
import { durationMs } from './duration.ts';
import type { Manifest } from './manifest.ts';

/** Operators that use a number as an index or a category, so a hash may feed them. */
const INDEXERS =
  /^(Gather|GatherND|GatherElements|OneHot|ScatterND|ScatterElements|EmbedLayerNormalization|ai\.onnx\.ml:(OneHotEncoder|LabelEncoder|CategoryMapper|TreeEnsemble\w*))$/;

/**
 * Features that can be served but cannot mean what was intended. One line each. Checked only at push, so that stored
 * versions keep working.
 *
 * @param operators of the ONNX file, from inspectModel; undefined for a network that hotloop creates.
 */
export function misleadingFeatures(
  manifest: Manifest,
  operators: Readonly<Record<string, number>> | undefined,
): string[] {
  return [...misleadingHashes(manifest, operators), ...misleadingWindows(manifest)];
}

const DAY_MS = 86_400_000;

/** A window that is longer than the history, and a condition that no event can meet because it is not a condition. */
function misleadingWindows({ features }: Manifest): string[] {
  return features.flatMap(({ name, window, where }) => {
    const problems: string[] = [];
    if (window !== undefined && durationMs(window) > HISTORY_AGE_MS)
      problems.push(
        `features.${name}: window is ${window}, but the history keeps events for ${HISTORY_AGE_MS / DAY_MS}d; declare at most that`,
      );
    if (where !== undefined && !isCondition(where, { event: 'record' }))
      problems.push(
        `features.${name}: where must be true or false for an event; write a comparison, such as event.price > 10.0`,
      );
    return problems;
  });
}

/** A hash is an index without an order, and a dense layer treats it as a quantity. */
function misleadingHashes(
  manifest: Manifest,
  operators: Readonly<Record<string, number>> | undefined,
): string[] {
  if (Object.keys(operators ?? {}).some((name) => INDEXERS.test(name))) return [];
  const { features } = columnsOf(manifest);
  return manifest.features.flatMap(({ name, transform, dtype, hidden, type }, index) => {
    const last = transform.at(-1);
    if (typeof last !== 'object' || !('hash' in last) || hidden || (features[index]?.width ?? 0) === 0)
      return [];
    if (dtype === 'int64' || dtype === 'int32') return [];
    const remedy =
      type === 'number' ? 'one_hot' : 'one_hot after it, `text` for sentences, or `id` with an embedding';
    return [
      `features.${name}: hash gives the index of a bucket, which a dense layer treats as a quantity, so the model cannot learn from it; use ${remedy}`,
    ];
  });
}
