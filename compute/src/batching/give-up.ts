import { HotloopError } from '@hotloop/proto/errors.ts';

/** Fails work that was taken out of the queue because its deadline has passed, or because nobody waits for it. */
export function giveUp(
  work: { readonly deadlineAt: number; fail(error: HotloopError): void },
  now: number,
): void {
  work.fail(
    work.deadlineAt <= now
      ? new HotloopError('DEADLINE_EXCEEDED', 'the deadline passed before the model could run', {
          reason: 'expired',
        })
      : new HotloopError('CANCELLED', 'the caller has gone'),
  );
}
