import type { FusedRow } from '@hotloop/model/fused/fused-feeds.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { FusedPredictor, ServerlessPrediction } from './fused-predictor.ts';

export interface LambdaEvent {
  /** Of a function URL or API Gateway. */
  readonly body?: string;
  readonly isBase64Encoded?: boolean;
  /** Of a direct call. */
  readonly request?: FusedRow;
  readonly instances?: readonly FusedRow[];
}

export interface LambdaAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const STATUS: Readonly<Record<string, number>> = { INVALID_ARGUMENT: 400 };

/**
 * Answers one call: `{"request": {...}}` or `{"instances": [{...}, ...]}`. Each prediction is given to `log` before the answer, so
 * that a stream or bucket can take it in.
 */
export function lambdaHandler(
  predictor: FusedPredictor,
  log: (predictions: readonly ServerlessPrediction[]) => Promise<void> | void,
  now: () => number,
): (event: LambdaEvent) => Promise<LambdaAnswer> {
  return async (event) => {
    try {
      const predictions = await predictor.predict(rowsOf(event), now());
      await log(predictions);
      return answer(200, { predictions });
    } catch (error) {
      const { code, message, reason } = toHotloopError(error);
      return answer(STATUS[code] ?? 500, { code, detail: message, reason });
    }
  };
}

function answer(statusCode: number, body: object): LambdaAnswer {
  return { statusCode, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

function rowsOf(event: LambdaEvent): readonly FusedRow[] {
  let call: LambdaEvent = event;
  if (event.body !== undefined) {
    const text = event.isBase64Encoded ? Buffer.from(event.body, 'base64').toString('utf8') : event.body;
    try {
      call = JSON.parse(text) as LambdaEvent;
    } catch (cause) {
      throw new HotloopError('INVALID_ARGUMENT', 'the body is not JSON', { cause });
    }
  }
  const rows = call.instances ?? (call.request === undefined ? undefined : [call.request]);
  if (!Array.isArray(rows) || rows.some((row) => typeof row !== 'object' || row === null))
    throw new HotloopError('INVALID_ARGUMENT', 'send {"request": {...}} or {"instances": [{...}]}');
  return rows;
}
