import { Readable } from 'node:stream';
import { type Caller, permit } from '@hotloop/platform/auth/authorization.ts';
import type { HttpApp, RouteModule } from '@hotloop/platform/http/http-server.ts';
import { problemOf } from '@hotloop/platform/http/problem.ts';
import { type Line, lineTooLong, readLines } from '@hotloop/platform/http/read-lines.ts';
import { parseStrictJson } from '@hotloop/platform/http/strict-json.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { z } from 'zod';
import type { Predictor } from '../predict.ts';
import type { TimeoutOptions } from '../server.ts';
import {
  parsePredictionBody,
  predictionBody,
  predictionReply,
  replyOfPrediction,
  requestOfBody,
} from './prediction-body.ts';

const MAX_BODY_BYTES = 8 * 1024 * 1024;
const MAX_LINE_BYTES = 1024 * 1024;
/** Lines of one batch that are answered concurrently: memory is limited to this number times the longest line. */
const LINES_AT_ONCE = 64;

const params = z.object({ model: z.string().min(1).max(128) });

/** POST /v1/models/{model}/predict and its batch, with one JSON document per line in both directions. */
export function predictRoutes(predictor: Predictor, timeouts: TimeoutOptions): RouteModule {
  const granted = (wanted: number | undefined) =>
    Math.min(wanted ?? timeouts.defaultTimeoutMs, timeouts.maxTimeoutMs);
  const answer = async (model: string, body: unknown, by: Caller, signal: AbortSignal) => {
    permit(by, model);
    const parsed = parsePredictionBody(body);
    const timeoutMs = granted(parsed.timeout_ms);
    return replyOfPrediction(
      await predictor.predict(requestOfBody(model, parsed), { caller: by.subject, signal, timeoutMs }),
    );
  };
  return (app: HttpApp) => {
    app.post(
      '/v1/models/:model/predict',
      {
        config: { requires: 'predict' },
        // Rejected before the body is read; a request with a shorter timeout than the default may still be rejected
        // afterwards.
        onRequest: async ({ params: { model }, caller }) => {
          const call = { caller: caller.subject, timeoutMs: timeouts.defaultTimeoutMs };
          const refusal = predictor.refusal(model, call);
          if (refusal) throw refusal;
        },
        bodyLimit: MAX_BODY_BYTES,
        schema: {
          summary: 'One prediction',
          tags: ['predictions'],
          params,
          body: predictionBody,
          response: { 200: predictionReply },
        },
      },
      async ({ params: { model }, body, caller, raw }, reply) => {
        const gone = new AbortController();
        reply.raw.once('close', () => !reply.raw.writableFinished && gone.abort());
        if (raw.destroyed && !raw.complete) gone.abort();
        return answer(model, body, caller, gone.signal);
      },
    );

    app.post(
      '/v1/models/:model/predict-batch',
      {
        config: { requires: 'predict' },
        schema: {
          summary:
            'Predictions as a stream: one JSON document per line (application/x-ndjson), answered in order',
          description:
            'A line that fails is answered with {"error": problem, "line": number}; the others continue.',
          tags: ['predictions'],
          params,
          consumes: ['application/x-ndjson'],
        },
      },
      async ({ params: { model }, body, caller }, reply) => {
        if (!(body instanceof Readable))
          throw new HotloopError('INVALID_ARGUMENT', 'send content-type application/x-ndjson', {
            reason: 'invalid_request',
          });
        const gone = new AbortController();
        reply.raw.once('close', () => gone.abort());
        const one = async (line: Line): Promise<string> => {
          const { number, bytes } = line;
          try {
            if (bytes === undefined) throw lineTooLong(line, MAX_LINE_BYTES);
            return `${JSON.stringify(await answer(model, parseStrictJson(bytes), caller, gone.signal))}\n`;
          } catch (error) {
            return `${JSON.stringify({ line: number, error: problemOf(error) })}\n`;
          }
        };
        const answers = Readable.from(inOrder(readLines(body, MAX_LINE_BYTES), one), { objectMode: true });
        return reply.type('application/x-ndjson').send(answers);
      },
    );
  };
}

/**
 * Runs up to LINES_AT_ONCE at once and yields in the order of the lines. If the stream cannot be read, the last line
 * says so.
 */
async function* inOrder(
  lines: AsyncIterable<Line>,
  run: (line: Line) => Promise<string>,
): AsyncGenerator<string, void, undefined> {
  const running: Promise<string>[] = [];
  let failure: unknown;
  try {
    for await (const line of lines) {
      running.push(run(line));
      if (running.length >= LINES_AT_ONCE) yield await (running.shift() as Promise<string>);
    }
  } catch (error) {
    failure = error;
  }
  for (const answer of running) yield await answer;
  if (failure !== undefined) yield `${JSON.stringify({ error: problemOf(failure) })}\n`;
}
