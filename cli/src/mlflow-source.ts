import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { CommandError } from './command-error.ts';

/** A model of MLflow's registry, fetched. */
export interface MlflowModel {
  readonly name: string;
  readonly version: string;
  readonly onnx: Uint8Array;
  /** The model.yaml beside it, where it was logged with one. */
  readonly manifest: Uint8Array | undefined;
}

export interface MlflowServer {
  /** MLflow's tracking server, such as http://127.0.0.1:5000. */
  readonly url: string;
  readonly token: string | undefined;
}

const REFERENCE = /^models:\/([^/@]+)(?:@([^/@]+)|\/(\d+))$/;
const TIMEOUT_MS = 60_000;

/** True for `models:/NAME@ALIAS` and `models:/NAME/VERSION`. */
export function isMlflowReference(text: string): boolean {
  return text.startsWith('models:/');
}

/**
 * Fetches a version of MLflow's registry: its ONNX flavour, and `model.yaml` where the model was logged with one. Throws CommandError
 * that says what is missing.
 */
export async function fetchMlflowModel(reference: string, server: MlflowServer): Promise<MlflowModel> {
  const [, name = '', alias, number] = REFERENCE.exec(reference) ?? [];
  if (name === '') throw new CommandError(`${reference} must be models:/NAME@ALIAS or models:/NAME/VERSION`);
  const version = number ?? (await versionOfAlias(server, name, alias ?? ''));
  const { artifact_uri: uri } = await api<{ artifact_uri: string }>(
    server,
    'model-versions/get-download-uri',
    {
      name,
      version,
    },
  );
  const read = artifactReader(server, uri);
  const described = parse(new TextDecoder().decode(await needed(read, 'MLmodel', reference))) as {
    readonly flavors?: { readonly onnx?: { readonly data?: string } };
  };
  const file = described.flavors?.onnx?.data;
  if (file === undefined)
    throw new CommandError(
      `${reference} has no ONNX flavour: log it with mlflow.onnx.log_model, or serve it as a remote model`,
    );
  return { name, version, onnx: await needed(read, file, reference), manifest: await read('model.yaml') };
}

async function versionOfAlias(server: MlflowServer, name: string, alias: string): Promise<string> {
  const found = await api<{ model_version: { version: string } }>(server, 'registered-models/alias', {
    name,
    alias,
  });
  return String(found.model_version.version);
}

async function needed(read: ReadArtifact, file: string, reference: string): Promise<Uint8Array> {
  const bytes = await read(file);
  if (bytes === undefined) throw new CommandError(`${reference} has no file ${file}`);
  return bytes;
}

/** Undefined for a file that is not there. */
type ReadArtifact = (file: string) => Promise<Uint8Array | undefined>;

/** Artifacts come through the server (mlflow-artifacts:) or lie in a folder that this machine has. */
function artifactReader(server: MlflowServer, uri: string): ReadArtifact {
  const proxied = /^mlflow-artifacts:(?:\/\/[^/]*)?\/+(.*)$/.exec(uri)?.[1];
  if (proxied !== undefined)
    return async (file) => {
      const path = `${proxied}/${file}`.split('/').map(encodeURIComponent).join('/');
      const response = await ask(server, `/api/2.0/mlflow-artifacts/artifacts/${path}`);
      if (response.status === 404) return undefined;
      return new Uint8Array(await (await succeeded(response)).arrayBuffer());
    };
  const folder = uri.startsWith('file:') ? fileURLToPath(uri) : uri.startsWith('/') ? uri : undefined;
  if (folder === undefined)
    throw new CommandError(
      `the artifacts lie at ${uri.replace(/\/\/[^@/]*@/, '//')}, which is not read; start MLflow with --serve-artifacts, or push the folder`,
    );
  return (file) => readFile(join(folder, file)).catch(() => undefined);
}

async function api<T>(server: MlflowServer, method: string, query: Record<string, string>): Promise<T> {
  const response = await ask(server, `/api/2.0/mlflow/${method}?${new URLSearchParams(query)}`);
  return (await (await succeeded(response)).json()) as T;
}

async function ask({ url, token }: MlflowServer, path: string): Promise<Response> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return fetch(`${url.replace(/\/+$/, '')}${path}`, {
    headers,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch(() => {
    throw new CommandError('MLflow cannot be reached; say --mlflow http://HOST:PORT');
  });
}

async function succeeded(response: Response): Promise<Response> {
  if (response.ok) return response;
  const { message = `status ${response.status}` } = (await response.json().catch(() => ({}))) as {
    message?: string;
  };
  throw new CommandError(`MLflow: ${message}`);
}
