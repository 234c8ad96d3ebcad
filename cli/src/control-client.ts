import type { TlsOptions } from '@hotloop/client/client-options.ts';
import { type ClientErrorCode, HotloopClientError } from '@hotloop/client/hotloop-client-error.ts';
import { CommandError } from './command-error.ts';

export const DEFAULT_CONTROL_URL = 'http://127.0.0.1:7404';
const DEFAULT_TIMEOUT_MS = 60_000;
/** The global `fetch` does not wait longer for the head of an answer. */
const MOST_MS_OF_GLOBAL_FETCH = 300_000;

export interface ControlClientOptions {
  /** Base address such as http://127.0.0.1:7404. */
  readonly url: string;
  readonly apiKey?: string;
  /** Deadline of each call. */
  readonly timeoutMs?: number;
  readonly signal: AbortSignal;
  /** Certificates in PEM, for https:// addresses. */
  readonly tls?: TlsOptions;
}

type Body = string | Uint8Array | ReadableStream<Uint8Array>;

export type ControlQuery = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * Calls the control API (JSON over HTTP, described by its /openapi.json). Failed calls reject with HotloopClientError: the
 * code and message of the service, or UNAVAILABLE with the address that was tried.
 */
export class ControlClient {
  readonly #options: ControlClientOptions;

  constructor(options: ControlClientOptions) {
    this.#options = options;
  }

  get<T>(path: string, query: ControlQuery = {}): Promise<T> {
    return this.#json<T>('GET', path, query);
  }

  post<T>(path: string, body: unknown = {}, query: ControlQuery = {}): Promise<T> {
    return this.#json<T>('POST', path, query, JSON.stringify(body), 'application/json');
  }

  put<T>(path: string, body: unknown = {}, query: ControlQuery = {}): Promise<T> {
    return this.#json<T>('PUT', path, query, JSON.stringify(body), 'application/json');
  }

  delete<T>(path: string, query: ControlQuery = {}): Promise<T> {
    return this.#json<T>('DELETE', path, query);
  }

  /** Sends a body that is not JSON, such as a file; streams are sent as they are read. */
  upload<T>(
    path: string,
    body: Uint8Array | ReadableStream<Uint8Array>,
    contentType: string,
    query: ControlQuery = {},
  ): Promise<T> {
    return this.#json<T>('POST', path, query, body, contentType);
  }

  /** The answer's body as it comes, for downloads and streams of events. */
  async open(path: string, query: ControlQuery = {}): Promise<Response> {
    return this.#send('GET', path, query);
  }

  async #json<T>(
    method: string,
    path: string,
    query: ControlQuery,
    body?: Body,
    contentType?: string,
  ): Promise<T> {
    const response = await this.#send(method, path, query, body, contentType);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }

  async #send(
    method: string,
    path: string,
    query: ControlQuery,
    body?: Body,
    contentType?: string,
  ): Promise<Response> {
    const url = addressOf(path, this.#options.url);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const timeout = AbortSignal.timeout(this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    let response: Response;
    try {
      const isLong = (this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS) > MOST_MS_OF_GLOBAL_FETCH;
      const call = this.#options.tls || isLong ? await fetchBy(this.#options.tls ?? {}) : fetch;
      response = await call(url, {
        method,
        headers: {
          ...(contentType === undefined ? {} : { 'content-type': contentType }),
          ...(this.#options.apiKey === undefined ? {} : { authorization: `Bearer ${this.#options.apiKey}` }),
        },
        ...(body === undefined ? {} : { body, duplex: 'half' }),
        signal: AbortSignal.any([timeout, this.#options.signal]),
      });
    } catch (error) {
      if (this.#options.signal.aborted) throw new HotloopClientError('CANCELLED', 'the call was cancelled');
      if (timeout.aborted)
        throw new HotloopClientError('DEADLINE_EXCEEDED', `${url.origin} did not answer in time`);
      throw new HotloopClientError('UNAVAILABLE', `nothing answers at ${url.origin}`, { cause: error });
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }
}

/** Loaded only where it is needed, because every command loads this file. */
async function fetchBy({ certificate, privateKey, rootCertificates }: TlsOptions): Promise<typeof fetch> {
  const { fetchShowing } = await import('@hotloop/platform/tls/service-fetch.ts');
  const buffer = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes);
  return fetchShowing({
    ...{ certificate: buffer(certificate), key: buffer(privateKey), ca: buffer(rootCertificates) },
  }).fetch;
}

function addressOf(path: string, base: string): URL {
  if (!URL.canParse(base) || !/^https?:/.test(base))
    throw new CommandError(
      `the control API is at a URL such as ${DEFAULT_CONTROL_URL}, not ${JSON.stringify(base)}`,
    );
  return new URL(path, base);
}

async function problemOf(response: Response): Promise<HotloopClientError> {
  const text = await response.text();
  try {
    const { code, detail, reason } = JSON.parse(text) as {
      code?: ClientErrorCode;
      detail?: string;
      reason?: string;
    };
    if (code !== undefined) return new HotloopClientError(code, detail ?? '', { reason: reason ?? '' });
  } catch {
    // Not ours: a proxy's page, or a body cut short.
  }
  return new HotloopClientError('UNKNOWN', `the control API answered ${response.status}`);
}
