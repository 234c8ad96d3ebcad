import type { StatusObject } from '@grpc/grpc-js';
import { type ErrorCode, toHotloopError } from '@hotloop/proto/errors.ts';
import { toStatus } from '../framed/status.ts';
import type { CallContext } from './call-context.ts';

/** Codes that say that we are at fault, so that the cause must be found in the log. */
const OUR_FAULT: ReadonlySet<ErrorCode> = new Set(['INTERNAL', 'UNKNOWN', 'DATA_LOSS']);

/** The status of a failed call; its cause goes to the log when it is our fault. */
export function toLoggedStatus(error: unknown, context: Pick<CallContext, 'log'>): StatusObject {
  const known = toHotloopError(error);
  if (OUR_FAULT.has(known.code)) context.log.error({ error, reason: known.reason }, 'a call failed');
  else context.log.debug({ code: known.code, reason: known.reason }, 'a call was refused');
  return toStatus(known);
}
