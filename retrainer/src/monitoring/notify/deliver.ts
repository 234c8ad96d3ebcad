import type { Log } from '@hotloop/platform/log.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { readReceiver, withLink } from './alert-body.ts';
import { claimDeliveries, type Delivery, markDelivered, markFailed } from './delivery-store.ts';
import { postWebhook } from './post-webhook.ts';
import { type MailSettings, sendEmail } from './send-email.ts';
import { signatureHeaders } from './sign-webhook.ts';

export interface DeliverDependencies {
  readonly pool: Pool;
  readonly log: Log;
  readonly mail?: MailSettings;
  /** Address of the console as people see it; messages then hold a link to the incident. */
  readonly consoleUrl?: string;
  /** Values of the environment variables that `secret_env` names. */
  readonly secrets?: (variable: string) => string | undefined;
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
export async function deliverDue(dependencies: DeliverDependencies, signal?: AbortSignal): Promise<number> {
  const { pool, log } = dependencies;
  const due = await claimDeliveries(pool, AT_ONCE, LEASE_MS);
  const results = await Promise.all(
    due.map(async (delivery) => {
      try {
        await send(delivery, dependencies, signal);
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

async function send(
  { incident, transition, receiver, body }: Delivery,
  { mail, consoleUrl, secrets }: DeliverDependencies,
  signal?: AbortSignal,
): Promise<void> {
  const key = `${incident}/${transition}`;
  const link = consoleUrl === undefined ? undefined : new URL(`/incidents/${incident}`, consoleUrl).href;
  const message = withLink(receiver, body, link);
  const to = readReceiver(receiver);
  if ('email' in to) {
    const { subject, text } = message as { subject: string; text: string };
    return sendEmail(mail, { to: to.email, subject, text, key }, TIMEOUT_MS);
  }
  const text = JSON.stringify(message);
  const headers =
    to.secretEnv === null
      ? {}
      : signatureHeaders(to.secretEnv, secrets?.(to.secretEnv), key, text, Date.now());
  await postWebhook(to.webhook, text, { 'idempotency-key': key, ...headers }, TIMEOUT_MS, signal);
}
