import type { IncomingMessage, Server } from 'node:http';
import { Server as HttpsServer, type ServerOptions } from 'node:https';
import { TLSSocket } from 'node:tls';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { TlsIdentity, TlsMaterial } from './tls-identity.ts';

function contextOf({ certificate, key, ca }: TlsMaterial) {
  return { cert: certificate, key, ...(ca === undefined ? {} : { ca }) };
}

/**
 * Options of an HTTPS server. A caller without a certificate is let through to the routes, because a health probe has none:
 * `refuseUnverified` decides there.
 */
export function httpsOptions(tls: TlsIdentity): ServerOptions {
  return {
    ...contextOf(tls.material),
    requestCert: tls.asksForCertificates,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
  };
}

/** New certificates reach the server while it runs. */
export function followCertificates(server: Server, tls: TlsIdentity): void {
  tls.onChange((material) => {
    if (server instanceof HttpsServer) server.setSecureContext(contextOf(material));
  });
}

/** Throws UNAUTHENTICATED for a caller that shows no certificate of the CA, where one is asked for. */
export function refuseUnverified(request: IncomingMessage, tls: TlsIdentity | undefined): void {
  if (!tls?.asksForCertificates) return;
  if (request.socket instanceof TLSSocket && request.socket.authorized) return;
  throw new HotloopError('UNAUTHENTICATED', 'show a client certificate that this service trusts', {
    reason: 'missing_certificate',
  });
}
