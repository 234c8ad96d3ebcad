import { Agent, fetch as fetchBy } from 'undici';
import type { TlsIdentity, TlsMaterial } from './tls-identity.ts';

/** HTTP calls to other services of the installation. */
export interface ServiceFetch {
  readonly scheme: 'http' | 'https';
  /** Like the global `fetch`. */
  readonly fetch: typeof fetch;
}

/**
 * Calls as the process's gRPC calls are made: with mutual TLS they show its certificate and trust its CA; a renewed
 * certificate is used for new connections. Without a CA the system's certificates are trusted.
 */
export function serviceFetch(tls: TlsIdentity | undefined): ServiceFetch {
  if (!tls?.asksForCertificates) return { scheme: tls ? 'https' : 'http', fetch: fetchShowing({}).fetch };
  let call = fetchShowing(tls.material);
  tls.onChange((material) => {
    void call.close();
    call = fetchShowing(material);
  });
  return { scheme: 'https', fetch: (url, init) => call.fetch(url, init) };
}

type Shown = { readonly [Part in keyof TlsMaterial]?: Buffer | undefined };

/**
 * `fetch` that shows a certificate and trusts a CA, all in PEM; without a CA the system's certificates are trusted. It
 * waits for an answer as long as its signal lets it; the global one gives up after five minutes, such as of a training.
 */
export function fetchShowing({ certificate, key, ca }: Shown): {
  readonly fetch: typeof fetch;
  /** Ends its connections when their calls have ended. */
  close(): Promise<void>;
} {
  const dispatcher = new Agent({
    ...{ headersTimeout: 0, bodyTimeout: 0 },
    connect: {
      ...(certificate === undefined ? {} : { cert: certificate }),
      ...(key === undefined ? {} : { key }),
      ...(ca === undefined ? {} : { ca }),
    },
  });
  // The same function as the global one, in a version whose connections can be configured.
  const call = (url: string | URL, init: object = {}) => fetchBy(url, { ...init, dispatcher });
  return { fetch: call as unknown as typeof fetch, close: () => dispatcher.close() };
}
