import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { ERROR_CODES, type ErrorCode, HotloopError, INTERNAL_MESSAGE } from '@hotloop/proto/errors.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromFailure, fromStatus, REASON_TRAILER, toFailure, toStatus } from './status.ts';

const codes = Object.keys(ERROR_CODES) as ErrorCode[];
const anyError = fc
  .record({
    code: fc.constantFrom(...codes),
    message: fc.string(),
    reason: fc.stringMatching(/^[a-z_]{0,20}$/),
  })
  .map(({ code, message, reason }) => new HotloopError(code, message, { reason }));

function serviceError(code: number, details: string, metadata = new Metadata()): ServiceError {
  return Object.assign(new Error(`${code} ${details}`), { code, details, metadata });
}

describe('a domain error', () => {
  it('survives the conversion to a status and to a failure', () => {
    fc.assert(
      fc.property(anyError, (error) => {
        const status = toStatus(error);
        const known = { code: error.code, reason: error.reason };
        expect(fromFailure(toFailure(error))).toMatchObject({ ...known, message: error.message });
        const received = fromStatus(serviceError(status.code, status.details, status.metadata));
        expect(received).toMatchObject(known);
        if (error.code !== 'UNAVAILABLE') expect(received.message).toBe(error.message);
      }),
    );
  });
});

describe('an unexpected error', () => {
  it.each([new Error('SELECT * FROM secret'), 'text', undefined, { code: 5 }])(
    'reaches the caller as INTERNAL with a fixed text: %s',
    (error) => {
      expect(toFailure(error)).toEqual({
        code: ERROR_CODES.INTERNAL,
        message: INTERNAL_MESSAGE,
        reason: '',
        retryAfterMs: 0,
      });
      expect(toStatus(error)).toMatchObject({ code: ERROR_CODES.INTERNAL, details: INTERNAL_MESSAGE });
    },
  );

  it('that is an abort or a timeout keeps its code', () => {
    expect(toFailure(AbortSignal.abort().reason).code).toBe(ERROR_CODES.CANCELLED);
    expect(toFailure(new DOMException('x', 'TimeoutError')).code).toBe(ERROR_CODES.DEADLINE_EXCEEDED);
  });
});

describe('a status from the library', () => {
  it('does not reveal the address of a lost connection to a caller', () => {
    const error = fromStatus(
      serviceError(14, 'No connection established. Last error: connect ECONNREFUSED 10.0.0.7:7'),
    );
    expect(error.code).toBe('UNAVAILABLE');
    expect(error.message).not.toContain('10.0.0.7');
  });

  it('carries the reason of its trailer', () => {
    const metadata = new Metadata();
    metadata.set(REASON_TRAILER, 'nonfinite_output');
    expect(fromStatus(serviceError(13, 'x', metadata)).reason).toBe('nonfinite_output');
  });

  it('of an unknown code is UNKNOWN', () => {
    expect(fromStatus(serviceError(99, 'x')).code).toBe('UNKNOWN');
    expect(fromFailure({}).code).toBe('UNKNOWN');
  });
});
