export const SESSION_PATH = '/v1/session';

/** A refused request, in the words of the server. */
export class ApiError extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, message: string, reason: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

let csrfToken = '';
let renewSession: () => Promise<boolean> = () => Promise.resolve(false);

/** Every write sends the session's token; a page of somebody else cannot know it. */
export function setCsrfToken(token: string): void {
  csrfToken = token;
}

/**
 * What is asked when the server does not know the session any more: it resolves with true when the login was renewed, and the request is then sent
 * again. False: the login screen takes over.
 */
export function onSessionEnd(renew: () => Promise<boolean>): void {
  renewSession = renew;
}

export function get<T>(path: string): Promise<T> {
  return send<T>('GET', path);
}

export function post<T>(path: string, body: unknown): Promise<T> {
  return send<T>('POST', path, JSON.stringify(body), 'application/json');
}

export function put<T>(path: string, body: unknown): Promise<T> {
  return send<T>('PUT', path, JSON.stringify(body), 'application/json');
}

export function remove<T>(path: string): Promise<T> {
  return send<T>('DELETE', path);
}

export function upload<T>(path: string, body: Blob | FormData, contentType?: string): Promise<T> {
  return send<T>('POST', path, body, contentType);
}

async function send<T>(method: string, path: string, body?: BodyInit, contentType?: string): Promise<T> {
  try {
    return await sendOnce(method, path, body, contentType);
  } catch (error) {
    const isStale =
      error instanceof ApiError &&
      (error.status === 401 || (error.status === 403 && error.reason === 'csrf'));
    if (!isStale || path === SESSION_PATH || !(await renewSession())) throw error;
    return sendOnce(method, path, body, contentType);
  }
}

async function sendOnce<T>(method: string, path: string, body?: BodyInit, contentType?: string): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (contentType !== undefined) headers['content-type'] = contentType;
  if (method !== 'GET') headers['x-csrf-token'] = csrfToken;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: 'same-origin',
      ...(body === undefined ? {} : { body }),
    });
  } catch {
    throw new ApiError(0, 'The server cannot be reached. It may be restarting.', 'unreachable');
  }
  const text = await response.text();
  const value = parse(text);
  if (response.ok) return value as T;
  const problem = (value ?? {}) as { detail?: string; reason?: string; title?: string };
  throw new ApiError(
    response.status,
    problem.detail ?? problem.title ?? `the server answered ${response.status}`,
    problem.reason ?? '',
  );
}

function parse(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
