import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HotloopError } from '@hotloop/proto/errors.ts';

const ANSWER_MS = 60_000;
const API = '/api/2.0/mlflow';
const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';
const PROXIED = 'mlflow-artifacts:';

/** A tracking server of MLflow, over its REST interface (https://mlflow.org/docs/latest/rest-api.html). */
export interface MlflowClient {
  /** Throws NOT_FOUND (MLflow's RESOURCE_DOES_NOT_EXIST), ALREADY_EXISTS, UNAVAILABLE, INVALID_ARGUMENT with MLflow's message. */
  get<T>(path: string, query: Readonly<Record<string, string>>): Promise<T>;
  post<T>(path: string, body: object): Promise<T>;
  /** Artifacts by the address in runs and model versions. They are written through the server (mlflow-artifacts:). */
  putArtifact(address: string, bytes: Uint8Array): Promise<void>;
  /** Reads through the server, or from a local folder. Throws NOT_FOUND, FAILED_PRECONDITION for other stores. */
  getArtifact(address: string): Promise<Uint8Array>;
}

/**
 * @param url such as http://127.0.0.1:5000; a user and password in it are sent as MLflow's basic authentication.
 * @param token sent as a bearer token, for servers behind a proxy that requires one
 */
export function mlflowClient(url: string, token?: string): MlflowClient {
  const base = addressOf(url);
  const { username, password } = base;
  const headers: Record<string, string> =
    username === ''
      ? token === undefined
        ? {}
        : { authorization: `Bearer ${token}` }
      : {
          authorization: `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`,
        };
  base.username = '';
  base.password = '';
  const root = base.href.replace(/\/$/, '');
  const send = async (path: string, init: RequestInit): Promise<Response> => {
    const response = await fetch(`${root}${path}`, {
      ...init,
      headers: { ...headers, ...init.headers },
      signal: AbortSignal.timeout(ANSWER_MS),
    }).catch((cause: unknown) => {
      throw new HotloopError('UNAVAILABLE', `MLflow cannot be reached at ${root}`, { cause });
    });
    if (!response.ok) throw await refusalOf(response);
    return response;
  };
  return {
    get: async <T>(path: string, query: Readonly<Record<string, string>>) =>
      (await (await send(`${API}/${path}?${new URLSearchParams(query)}`, {})).json()) as T,
    post: async <T>(path: string, body: object) =>
      (await (
        await send(`${API}/${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
      ).json()) as T,
    async putArtifact(address, bytes) {
      await send(pathOf(address), { method: 'PUT', body: Buffer.from(bytes) });
    },
    async getArtifact(address) {
      const file = address.startsWith('file:') ? fileURLToPath(address) : address;
      if (!file.startsWith('/')) return new Uint8Array(await (await send(pathOf(address), {})).arrayBuffer());
      return readFile(file).catch((cause: unknown) => {
        throw new HotloopError('NOT_FOUND', `there is no file ${basename(file)} at the artifacts`, { cause });
      });
    },
  };
}

function addressOf(url: string): URL {
  const address = URL.canParse(url) ? new URL(url) : null;
  if (address?.protocol === 'http:' || address?.protocol === 'https:') return address;
  throw new HotloopError(
    'INVALID_ARGUMENT',
    'the address of MLflow must be a URL such as http://127.0.0.1:5000',
  );
}

/** `mlflow-artifacts:/1/RUN/artifacts/model` (or with a host) as a path of the server. */
function pathOf(address: string): string {
  if (!address.startsWith(PROXIED))
    throw new HotloopError(
      'FAILED_PRECONDITION',
      'the MLflow server keeps artifacts in a store of its own; start it with --serve-artifacts so that they can be reached through it',
      { reason: 'mlflow_artifacts' },
    );
  const path = address.slice(PROXIED.length).replace(/^\/\/[^/]*/, '');
  return `${ARTIFACTS}${path.startsWith('/') ? '' : '/'}${encodeURI(path)}`;
}

async function refusalOf(response: Response): Promise<HotloopError> {
  const text = await response.text();
  let told: { error_code?: string; message?: string } = {};
  try {
    told = JSON.parse(text) as typeof told;
  } catch {
    // Such as an error page of a proxy.
  }
  const message = `MLflow refused: ${(told.message ?? `status ${response.status}`).slice(0, 300)}`;
  if (told.error_code === 'RESOURCE_DOES_NOT_EXIST' || response.status === 404)
    return new HotloopError('NOT_FOUND', message);
  if (told.error_code === 'RESOURCE_ALREADY_EXISTS') return new HotloopError('ALREADY_EXISTS', message);
  return new HotloopError(response.status >= 500 ? 'UNAVAILABLE' : 'INVALID_ARGUMENT', message);
}
