import type { IncomingMessage, Server } from 'node:http';
import { Server as HttpsServer, type ServerOptions } from 'node:https';
import { TLSSocket } from 'node:tls';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { TlsIdentity, TlsMaterial } from './tls-identity.ts';

function contextOf({ certificate, key, ca }: TlsMaterial) {
  return { cert: certificate, key, ...(ca === undefined ? {} : { ca }) };
}

/**
 * Options of an HTTPS server. A caller without a certificate reaches the routes, because health probes have none;
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

/** Passes new certificates to the running server. */
export function followCertificates(server: Server, tls: TlsIdentity): void {
  tls.onChange((material) => {
    if (server instanceof HttpsServer) server.setSecureContext(contextOf(material));
  });
}

/** Throws UNAUTHENTICATED for a caller without a certificate of the CA, if one is required. */
export function refuseUnverified(request: IncomingMessage, tls: TlsIdentity | undefined): void {
  if (!tls?.asksForCertificates) return;
  if (request.socket instanceof TLSSocket && request.socket.authorized) return;
  throw new HotloopError('UNAUTHENTICATED', 'a client certificate that this service trusts is required', {
    reason: 'missing_certificate',
  });
}
