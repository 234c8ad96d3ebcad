import { type LookupAddress, type LookupAllOptions, lookup } from 'node:dns';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import {
  isLoopbackAddress,
  isMetadataAddress,
  webhookProblem,
} from '@hotloop/model/manifest/monitor-problems.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

type ResolveAll = (
  name: string,
  options: LookupAllOptions,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * Posts a JSON text to a webhook. The URL is checked, and after DNS resolution the resolved addresses are checked too and used for the
 * connection, so that a name cannot lead to a metadata service. Redirects are not followed. Throws INVALID_ARGUMENT for
 * a refused address, UNAVAILABLE for an answer other than 2xx or a timeout.
 *
 * @param headers besides those of the content, such as `idempotency-key`, the same for each try of one message.
 */
export async function postWebhook(
  address: string,
  text: string,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const problem = webhookProblem(address);
  if (problem) throw new HotloopError('INVALID_ARGUMENT', `the webhook is refused: ${problem}`);
  const url = new URL(address);
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  const timeout = AbortSignal.timeout(timeoutMs);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const sent = send(
    url,
    {
      method: 'POST',
      lookup: checkedLookup(url.hostname),
      signal: AbortSignal.any([timeout, ...(signal ? [signal] : [])]),
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
        'user-agent': 'hotloop',
        ...headers,
      },
    },
    (answer) => {
      answer.resume();
      const status = answer.statusCode ?? 0;
      if (status >= 200 && status < 300) resolve();
      else reject(new HotloopError('UNAVAILABLE', `the webhook answered ${status}`));
    },
  );
  sent.on('error', (cause) =>
    reject(
      cause instanceof HotloopError
        ? cause
        : new HotloopError(
            'UNAVAILABLE',
            timeout.aborted
              ? `the webhook did not answer within ${timeoutMs / 1000} s`
              : `the webhook cannot be reached: ${cause.message}`,
            { cause },
          ),
    ),
  );
  sent.end(text);
  await promise;
}

/**
 * Resolves a name and refuses it if a webhook must not reach any of its addresses.
 *
 * @param resolve the resolver of the machine.
 */
export function checkedLookup(host: string, resolve: ResolveAll = lookup): LookupFunction {
  const mayBeLoopback = host === 'localhost' || isIP(host.replace(/^\[|\]$/g, '')) !== 0;
  return (name, options, callback) => {
    resolve(name, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '', 0);
      const refused = addresses.find(
        ({ address }) => isMetadataAddress(address) || (isLoopbackAddress(address) && !mayBeLoopback),
      );
      const first = addresses[0];
      if (refused || !first) {
        const message = `the webhook's name resolves to ${refused?.address ?? 'nothing'}, which is refused`;
        return callback(new HotloopError('INVALID_ARGUMENT', message), '', 0);
      }
      if (options.all) return callback(null, addresses);
      callback(null, first.address, first.family);
    });
  };
}
