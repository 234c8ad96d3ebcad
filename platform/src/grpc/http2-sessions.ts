import type { Server } from '@grpc/grpc-js';

/** The part of the runtime's HTTP/2 connections that is looked at here. */
export interface Http2Session {
  setLocalWindowSize(bytes: number): void;
  settings(settings: { initialWindowSize: number }): void;
  readonly destroyed: boolean;
}

interface Http2Server {
  on(event: 'session', listener: (session: Http2Session) => void): unknown;
}

/**
 * Calls back with every connection that a bound server accepts from now on. The library has no way to its HTTP/2 servers but a
 * private field; where a later release has none, nobody is called.
 */
export function onHttp2Session(server: Server, listener: (session: Http2Session) => void): void {
  const { http2Servers } = server as unknown as { http2Servers?: ReadonlyMap<Http2Server, unknown> };
  if (!(http2Servers instanceof Map)) return;
  for (const http2Server of http2Servers.keys() as Iterable<Http2Server>)
    http2Server.on('session', (session) => {
      if (!session.destroyed) listener(session);
    });
}
