import type { Server } from '@grpc/grpc-js';

/** The part of Node's HTTP/2 sessions that is used here. */
export interface Http2Session {
  setLocalWindowSize(bytes: number): void;
  settings(settings: { initialWindowSize: number }): void;
  readonly destroyed: boolean;
}

interface Http2Server {
  on(event: 'session', listener: (session: Http2Session) => void): unknown;
}

/**
 * Calls back with every connection that a bound server accepts from now on. grpc-js exposes its HTTP/2 servers only
 * through a private field; if a later release has none, the callback is never called.
 */
export function onHttp2Session(server: Server, listener: (session: Http2Session) => void): void {
  const { http2Servers } = server as unknown as { http2Servers?: ReadonlyMap<Http2Server, unknown> };
  if (!(http2Servers instanceof Map)) return;
  for (const http2Server of http2Servers.keys() as Iterable<Http2Server>)
    http2Server.on('session', (session) => {
      if (!session.destroyed) listener(session);
    });
}
