import type { InferItem } from '@hotloop/platform/ports/inference.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { predictionIdProblem } from '@hotloop/proto/prediction-id.ts';
import { quotedJson } from '@hotloop/proto/quoted.ts';
import type { LoadedModel } from './runner/load-options.ts';

const MAX_ROWS = 100_000;

function invalid(message: string, reason: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', message, { reason });
}

/**
 * Throws INVALID_ARGUMENT for an id that is not a UUIDv7 with a recent timestamp: the log is partitioned by the day
 * in the id.
 */
export function checkPredictionId(id: string, nowMs: number): void {
  const problem = predictionIdProblem(id, nowMs);
  if (problem !== undefined)
    throw invalid(`prediction_id ${quotedJson(id)} ${problem}`, 'invalid_prediction_id');
}

/** Throws INVALID_ARGUMENT unless the rows fit a model with a single input, float32 [N, columns]. */
export function checkRows(item: InferItem, model: LoadedModel): void {
  const [input, ...others] = model.inputs;
  if (!input || others.length > 0)
    throw invalid(`${item.model} has ${model.inputs.length} inputs; feature rows need exactly one`, 'inputs');
  if (input.datatype !== 'FP32' || input.shape.length !== 2)
    throw invalid(`input ${input.name} of ${item.model} is not float32 [N, F]`, 'inputs');
  const [rows, columns] = input.shape;
  if (columns !== -1 && columns !== item.columns)
    throw invalid(`input ${input.name} takes ${columns} columns, not ${item.columns}`, 'columns');
  if (item.rows < 1 || item.rows > MAX_ROWS)
    throw invalid(`rows must be between 1 and ${MAX_ROWS}, not ${item.rows}`, 'rows');
  if (rows !== undefined && rows !== -1 && rows !== item.rows)
    throw invalid(`input ${input.name} takes exactly ${rows} rows, not ${item.rows}`, 'rows');
  const bytes = item.rows * item.columns * 4;
  if (item.features.length !== bytes)
    throw invalid(
      `features must have ${bytes} bytes for ${item.rows} x ${item.columns}, not ${item.features.length}`,
      'features',
    );
}
