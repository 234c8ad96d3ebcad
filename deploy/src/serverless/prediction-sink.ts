import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FusedRow } from '@hotloop/model/fused/fused-feeds.ts';
import type { ServerlessPrediction } from './fused-predictor.ts';

/** Where predictions are logged before they are answered. */
export type PredictionSink = (
  predictions: readonly ServerlessPrediction[],
  rows: readonly FusedRow[],
) => Promise<void>;

/**
 * One line of JSON per prediction: the fields of the request by name, `prediction_id`, `at`, `model`, `version`, and
 * the `answer`. `hotloop batch run MODEL --log --from` reads such files, so that outcomes can be joined.
 */
export function predictionLines(
  predictions: readonly ServerlessPrediction[],
  rows: readonly FusedRow[],
): string {
  return predictions
    .map(({ prediction_id, at, model, version, score, label }, index) => {
      const fields = Object.entries(rows[index] ?? {}).map(([name, value]) => [
        name.startsWith('request.') ? name.slice('request.'.length) : name,
        value,
      ]);
      const line = {
        ...Object.fromEntries(fields),
        prediction_id,
        at,
        model,
        version,
        answer: { score, label },
      };
      return `${JSON.stringify(line)}\n`;
    })
    .join('');
}

/** To standard output, or one object per call below a folder or `s3://BUCKET/PREFIX`: MODEL/DAY/ID.jsonl. */
export function openPredictionSink(address: string | undefined): PredictionSink {
  if (address === undefined)
    return async (predictions, rows) => void process.stdout.write(predictionLines(predictions, rows));
  return async (predictions, rows) => {
    const [first] = predictions;
    if (first === undefined) return;
    const key = `${first.model}/${first.at.slice(0, 10)}/${first.prediction_id}.jsonl`;
    const text = predictionLines(predictions, rows);
    if (!address.startsWith('s3://')) {
      const path = join(address, key);
      await mkdir(dirname(path), { recursive: true });
      return writeFile(path, text);
    }
    // Loaded only when it is used, because the SDK takes longer to start than the runtime.
    const { openObjectStore } = await import('@hotloop/platform/object-store/open-object-store.ts');
    using store = openObjectStore(address);
    await store.put(key, Buffer.from(text));
  };
}
