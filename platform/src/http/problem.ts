import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import type { Log } from '../log.ts';
import { HTTP_STATUS } from './http-status.ts';

/** A failed request as in RFC 9457, plus our code and reason. */
export interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly reason: string;
}

/** Answers `application/problem+json`. Causes of internal errors go to the log, never to the caller. */
export function sendProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Log,
): FastifyReply {
  const known = fromHttpError(error);
  const status = HTTP_STATUS[known.code];
  if (status >= 500 && known.code !== 'UNAVAILABLE' && known.code !== 'DEADLINE_EXCEEDED')
    log.error({ requestId: request.id, url: request.routeOptions.url, error }, 'a request failed');
  const problem = problemFrom(known);
  if (known.retryAfterMs !== undefined) reply.header('retry-after', Math.ceil(known.retryAfterMs / 1000));
  return reply.code(status).type('application/problem+json').send(JSON.stringify(problem));
}

/** What a caller may see of an error, for one line of a stream. */
export function problemOf(error: unknown): Problem {
  return problemFrom(fromHttpError(error));
}

function problemFrom({ code, message, reason }: HotloopError): Problem {
  return { type: 'about:blank', title: code, status: HTTP_STATUS[code], detail: message, code, reason };
}

/**
 * Maps Fastify's own errors (schema, body too large, malformed JSON) to our codes; everything else as
 * `toHotloopError`.
 */
function fromHttpError(error: unknown): HotloopError {
  if (hasZodFastifySchemaValidationErrors(error)) {
    const problems = error.validation.map(({ instancePath, message }) => {
      const path = instancePath.split('/').slice(1).join('.');
      return path === '' ? message : `${path}: ${message}`;
    });
    return new HotloopError('INVALID_ARGUMENT', problems.join('; '), { reason: 'invalid_request' });
  }
  const { statusCode, code, message } = error as Partial<FastifyError>;
  if (error instanceof HotloopError || statusCode === undefined || !String(code).startsWith('FST_'))
    return toHotloopError(error);
  if (statusCode === 413)
    return new HotloopError('INVALID_ARGUMENT', 'the body is too large for this route; send less at once', {
      reason: 'body_too_large',
    });
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return new HotloopError(
      'INVALID_ARGUMENT',
      'content-type: send JSON with application/json; files are application/x-ndjson, text/csv or application/vnd.apache.parquet where a route takes files',
      { reason: 'unsupported_content_type' },
    );
  if (statusCode < 500) return new HotloopError('INVALID_ARGUMENT', String(message), { cause: error });
  return toHotloopError(error);
}
