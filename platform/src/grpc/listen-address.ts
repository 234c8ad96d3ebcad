import { HotloopError } from '@hotloop/proto/errors.ts';

export interface ListenAddress {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** Only this machine can reach it. */
  readonly isLoopback: boolean;
}

/** Parses host:port or [ipv6]:port. Throws INVALID_ARGUMENT. */
export function parseListenAddress(address: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535)
    throw new HotloopError('INVALID_ARGUMENT', `cannot listen on ${JSON.stringify(address)}: not host:port`);
  const isLoopback = host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
  return { host, port, isLoopback };
}

/** host:port as used to connect. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
