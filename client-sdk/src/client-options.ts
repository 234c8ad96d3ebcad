import { isIP } from 'node:net';
import { HotloopClientError } from './hotloop-client-error.ts';

/** Addresses, timeouts and retries. Every field has a default that suits a single machine. */
export interface ClientOptions {
  /**
   * host:port of the preprocessor. Default 127.0.0.1:7400. For several preprocessors: one name that resolves to all
   * of them, or their comma-separated IP addresses. Predictions are distributed over them, and one that is lost is
   * skipped.
   */
  readonly address?: string;
  /** host:port of the retrainer, for models, runs and outcomes. Default: the host of `address`, port 7403. */
  readonly retrainerAddress?: string;
  /** Sent as `authorization: Bearer KEY` with every call. */
  readonly apiKey?: string;
  /** Deadline of a call that sets none, in milliseconds. Default 5000. */
  readonly timeoutMs?: number;
  /**
   * stream: one multiplexed stream, with about ten times the throughput. unary: one call per prediction. Default
   * stream.
   */
  readonly transport?: 'stream' | 'unary';
  /** Maximum number of unanswered predictions; further ones wait in the client. Default 1024. */
  readonly maxInFlight?: number;
  /** Maximum number of waiting predictions; further ones are rejected with RESOURCE_EXHAUSTED. Default 8192. */
  readonly maxWaiting?: number;
  readonly retry?: RetryOptions;
  /** Encrypts the connection. Default: plain text, for services on this machine or behind a service mesh. */
  readonly tls?: TlsOptions;
}

export interface TlsOptions {
  /** Trusted certificates in PEM; default: the system's. */
  readonly rootCertificates?: Uint8Array;
  /** With `certificate`: the client's own identity, in PEM. */
  readonly privateKey?: Uint8Array;
  readonly certificate?: Uint8Array;
}

/** What is retried: UNAVAILABLE, including lost streams, within the deadline and the retry budget. */
export interface RetryOptions {
  /** Maximum number of attempts; 1 means no retries. Default 5. */
  readonly attempts?: number;
  /** The first wait is a random number from 0 to this value, which doubles at every attempt. Default 20. */
  readonly baseDelayMs?: number;
  /** Default 1000. */
  readonly maxDelayMs?: number;
  /** Also retries RESOURCE_EXHAUSTED. Default false, because more calls do not help an overloaded server. */
  readonly whenExhausted?: boolean;
}

export interface ResolvedOptions {
  readonly address: string;
  readonly retrainerAddress: string;
  /** Number of streams for predictions; one per named preprocessor. */
  readonly streams: number;
  readonly apiKey: string | undefined;
  readonly timeoutMs: number;
  readonly transport: 'stream' | 'unary';
  readonly maxInFlight: number;
  readonly maxWaiting: number;
  readonly retry: Required<RetryOptions>;
  readonly tls: TlsOptions | undefined;
}

export const DEFAULT_ADDRESS = '127.0.0.1:7400';
export const DEFAULT_RETRAINER_PORT = 7403;

/** Fills in the defaults; throws INVALID_ARGUMENT naming an invalid option. */
export function resolveOptions(options: ClientOptions): ResolvedOptions {
  const address = options.address ?? DEFAULT_ADDRESS;
  const doors = address.split(',');
  const host = /^(.+):\d{1,5}$/.exec(doors[0] ?? '')?.[1];
  if (host === undefined || !doors.every((door) => /^.+:\d{1,5}$/.test(door)))
    throw invalid('address', 'must be host:port', address);
  if (doors.length > 1 && !doors.every((door) => isIP(door.slice(0, door.lastIndexOf(':'))) === 4))
    throw invalid('address', 'must be IPv4 addresses where there are several, or one name', address);
  const resolved: ResolvedOptions = {
    address,
    retrainerAddress: options.retrainerAddress ?? `${host}:${DEFAULT_RETRAINER_PORT}`,
    streams: doors.length,
    apiKey: options.apiKey,
    timeoutMs: options.timeoutMs ?? 5000,
    transport: options.transport ?? 'stream',
    maxInFlight: options.maxInFlight ?? 1024,
    maxWaiting: options.maxWaiting ?? 8192,
    retry: {
      attempts: options.retry?.attempts ?? 5,
      baseDelayMs: options.retry?.baseDelayMs ?? 20,
      maxDelayMs: options.retry?.maxDelayMs ?? 1000,
      whenExhausted: options.retry?.whenExhausted ?? false,
    },
    tls: options.tls,
  };
  atLeast(resolved.timeoutMs, 1, 'timeoutMs');
  atLeast(resolved.maxInFlight, 1, 'maxInFlight');
  atLeast(resolved.maxWaiting, 0, 'maxWaiting');
  atLeast(resolved.retry.attempts, 1, 'retry.attempts');
  return resolved;
}

function atLeast(value: number, least: number, name: string): void {
  if (!(value >= least)) throw invalid(name, `must be at least ${least}`, String(value));
}

function invalid(name: string, rule: string, value: string): HotloopClientError {
  return new HotloopClientError('INVALID_ARGUMENT', `option ${name} ${rule}, not ${JSON.stringify(value)}`);
}
