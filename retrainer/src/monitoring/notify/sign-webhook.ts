import { createHmac } from 'node:crypto';
import { HotloopError } from '@hotloop/proto/errors.ts';

const PREFIX = 'whsec_';
/** The Standard Webhooks specification asks for 24 to 64 bytes. */
const [LEAST_BYTES, MOST_BYTES] = [24, 64];

/**
 * Headers that sign a message as the Standard Webhooks specification does (version 1): an HMAC-SHA256 over id, time and
 * body. The receiver's library refuses messages that are changed, or older than a few minutes.
 *
 * @param variable names the secret in errors, which never hold the secret itself.
 * @param secret base64 of 24 to 64 bytes, with or without the prefix `whsec_`. Throws FAILED_PRECONDITION for anything else.
 * @param id the same for each try of one message.
 * @param now milliseconds since 1970.
 */
export function signatureHeaders(
  variable: string,
  secret: string | undefined,
  id: string,
  body: string,
  now: number,
): Readonly<Record<string, string>> {
  if (secret === undefined || secret === '')
    throw refused(
      `the retrainer has no variable ${variable}: set it to the secret of the webhook and restart`,
    );
  const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret;
  const key = Buffer.from(text, 'base64');
  if (key.toString('base64').replace(/=+$/, '') !== text.replace(/=+$/, ''))
    throw refused(`${variable} is not base64, with or without ${PREFIX} before it`);
  if (key.length < LEAST_BYTES || key.length > MOST_BYTES)
    throw refused(`${variable} holds ${key.length} bytes; a secret has ${LEAST_BYTES} to ${MOST_BYTES}`);
  const seconds = Math.floor(now / 1000);
  const signature = createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64');
  return {
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': `v1,${signature}`,
  };
}

const refused = (message: string): HotloopError => new HotloopError('FAILED_PRECONDITION', message);
