import { HotloopError } from '@hotloop/proto/errors.ts';

/** Fails work that was taken from the queue because its deadline has passed or its caller no longer waits. */
export function giveUp(
  work: { readonly deadlineAt: number; fail(error: HotloopError): void },
  now: number,
): void {
  work.fail(
    work.deadlineAt <= now
      ? new HotloopError('DEADLINE_EXCEEDED', 'the deadline passed before the model could run', {
          reason: 'expired',
        })
      : new HotloopError('CANCELLED', 'the caller cancelled the request'),
  );
}
