import type { FusedRow } from '@hotloop/model/fused/fused-feeds.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { FusedPredictor, ServerlessPrediction } from './fused-predictor.ts';
import type { FusedSource } from './fused-source.ts';

export interface LambdaEvent {
  /** From a function URL or API Gateway. */
  readonly body?: string;
  readonly isBase64Encoded?: boolean;
  /** From a direct call. */
  readonly request?: FusedRow;
  readonly instances?: readonly FusedRow[];
  /** From a bucket's notification: something changed there. */
  readonly Records?: readonly { readonly s3?: object }[];
}

export interface LambdaAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const STATUS: Readonly<Record<string, number>> = { INVALID_ARGUMENT: 400 };

/**
 * Answers one call: `{"request": {...}}` or `{"instances": [{...}, ...]}`. Each prediction is passed to `log` before
 * the answer, so that a stream or bucket can receive it. A bucket's notification reloads the file.
 */
export function lambdaHandler(
  source: FusedPredictor | FusedSource,
  log: (predictions: readonly ServerlessPrediction[], rows: readonly FusedRow[]) => Promise<void> | void,
  now: () => number,
): (event: LambdaEvent) => Promise<LambdaAnswer> {
  return async (event) => {
    try {
      if (event.Records?.some(({ s3 }) => s3 !== undefined) && 'reload' in source) {
        const { model, version } = await source.reload(now());
        return answer(200, { reloaded: { model, version } });
      }
      const predictor = 'current' in source ? await source.current(now()) : source;
      const rows = rowsOf(event);
      const predictions = await predictor.predict(rows, now());
      await log(predictions, rows);
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
