import type { Log } from '@hotloop/platform/log.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { claimDeliveries, type Delivery, markDelivered, markFailed } from './delivery-store.ts';
import { postWebhook } from './post-webhook.ts';
import { type MailSettings, sendEmail } from './send-email.ts';

export interface DeliverDependencies {
  readonly pool: Pool;
  readonly log: Log;
  readonly mail?: MailSettings;
}

const AT_ONCE = 16;
const TIMEOUT_MS = 10_000;
const LEASE_MS = 30_000;
const FIRST_RETRY_MS = 2_000;
const LAST_RETRY_MS = 60_000;

/**
 * Sends deliveries that are due, and returns how many succeeded. A failed delivery is retried without end, with backoff of up to a
 * minute; each try has the same `Idempotency-Key`, incident/transition, so that a receiver can recognise a repeat.
 */
export async function deliverDue(
  { pool, log, mail }: DeliverDependencies,
  signal?: AbortSignal,
): Promise<number> {
  const due = await claimDeliveries(pool, AT_ONCE, LEASE_MS);
  const results = await Promise.all(
    due.map(async (delivery) => {
      try {
        await send(delivery, mail, signal);
      } catch (error) {
        const retry = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(10, delivery.attempts - 1));
        const message = error instanceof HotloopError ? error.message : 'it failed';
        log.warn(
          { incident: delivery.incident, attempts: delivery.attempts, error },
          'an alarm was not delivered',
        );
        await markFailed(pool, delivery, message, retry);
        return false;
      }
      await markDelivered(pool, delivery);
      return true;
    }),
  );
  return results.filter(Boolean).length;
}

async function send(delivery: Delivery, mail: MailSettings | undefined, signal?: AbortSignal): Promise<void> {
  const key = `${delivery.incident}/${delivery.transition}`;
  const { receiver } = delivery;
  if (receiver.startsWith('email:')) {
    const { subject, text } = delivery.body as { subject: string; text: string };
    return sendEmail(mail, { to: receiver.slice(6), subject, text, key }, TIMEOUT_MS);
  }
  const address = receiver.replace(/^webhook:(slack|alertmanager):/, '');
  await postWebhook(address, delivery.body, key, TIMEOUT_MS, signal);
}
