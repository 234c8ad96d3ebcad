import type { IncomingHttpHeaders } from 'node:http';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { parseListenAddress } from '../grpc/listen-address.ts';

/**
 * Throws PERMISSION_DENIED for a request that a browser may have sent on behalf of a web page. Without API keys,
 * everybody on this machine may do everything, and any web page can make a local browser send requests. Such a
 * request has the page's `Origin`, or, with DNS rebinding, a `Host` that is not this machine.
 */
export function refuseWebPage(headers: IncomingHttpHeaders): void {
  if (headers.origin !== undefined)
    throw refusal('requests from web pages (with an Origin header) need an API key: set HOTLOOP_API_KEYS');
  refuseForeignHost(headers);
}

/**
 * As `refuseWebPage`, for a server with its own page: requests of that page are allowed, those of any other are not.
 * The page's `Origin` equals the `Host` that it was loaded from.
 */
export function refuseForeignPage(headers: IncomingHttpHeaders): void {
  refuseForeignHost(headers);
  const { origin, host } = headers;
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`)
    throw refusal('requests from pages of other origins need an API key: set HOTLOOP_API_KEYS');
  const site = headers['sec-fetch-site'];
  const isNavigation = headers['sec-fetch-mode'] === 'navigate';
  if (site !== undefined && site !== 'same-origin' && site !== 'none' && !isNavigation)
    throw refusal('requests from pages of other origins need an API key: set HOTLOOP_API_KEYS');
}

function refuseForeignHost({ host }: IncomingHttpHeaders): void {
  if (host !== undefined && !isLoopback(host.toLowerCase()))
    throw refusal('without API keys the Host must be localhost or a loopback address: set HOTLOOP_API_KEYS');
}

function isLoopback(host: string): boolean {
  try {
    return parseListenAddress(/:\d+$/.test(host) ? host : `${host}:80`).isLoopback;
  } catch {
    return false;
  }
}

function refusal(message: string): HotloopError {
  return new HotloopError('PERMISSION_DENIED', message, { reason: 'web_page' });
}
