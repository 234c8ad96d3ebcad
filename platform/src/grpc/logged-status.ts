import type { StatusObject } from '@grpc/grpc-js';
import { type ErrorCode, toHotloopError } from '@hotloop/proto/errors.ts';
import { toStatus } from '../framed/status.ts';
import type { CallContext } from './call-context.ts';

/** Codes of faults on our side, whose cause must be in the log. */
const OUR_FAULT: ReadonlySet<ErrorCode> = new Set(['INTERNAL', 'UNKNOWN', 'DATA_LOSS']);

/** The status of a failed call; its cause is logged when the fault is ours. */
export function toLoggedStatus(error: unknown, context: Pick<CallContext, 'log'>): StatusObject {
  const known = toHotloopError(error);
  if (OUR_FAULT.has(known.code)) context.log.error({ error, reason: known.reason }, 'a call failed');
  else context.log.debug({ code: known.code, reason: known.reason }, 'a call was rejected');
  return toStatus(known);
}
