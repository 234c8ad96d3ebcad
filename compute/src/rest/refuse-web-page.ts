import type { IncomingHttpHeaders } from 'node:http';
import { parseListenAddress } from '@hotloop/platform/grpc/listen-address.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

/**
 * Throws PERMISSION_DENIED for what a browser may have sent on behalf of a web page. Without API keys everybody on this
 * machine may do everything, and a page from anywhere can make a browser on this machine ask: it then names the page's
 * `Origin`, or, where the page's own name was made to point here, a `Host` that is not this machine.
 */
export function refuseWebPage(headers: IncomingHttpHeaders): void {
  if (headers.origin !== undefined)
    throw refusal('requests of web pages (with an Origin header) need an API key: set HOTLOOP_API_KEYS');
  if (headers.host !== undefined && !isLoopback(headers.host.toLowerCase()))
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
