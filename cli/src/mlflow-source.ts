import { CommandError } from './command-error.ts';

/** A model of MLflow's registry, fetched. */
export interface MlflowModel {
  readonly name: string;
  readonly version: string;
  readonly onnx: Uint8Array;
  /** The model.yaml beside it; null where it was logged without one. */
  readonly manifestYaml: string | null;
}

export interface MlflowServer {
  /** MLflow's tracking server, such as http://127.0.0.1:5000. */
  readonly url: string;
  readonly token: string | undefined;
}

const REFERENCE = /^models:\/([^/@]+)(?:@([^/@]+)|\/(\d+))$/;

/** True for `models:/NAME@ALIAS` and `models:/NAME/VERSION`. */
export function isMlflowReference(text: string): boolean {
  return text.startsWith('models:/');
}

/** Fetches a version of MLflow's registry. Throws CommandError for another form, and what `pullFromMlflow` throws. */
export async function fetchMlflowModel(reference: string, server: MlflowServer): Promise<MlflowModel> {
  const [, name = '', alias = '', number] = REFERENCE.exec(reference) ?? [];
  if (name === '') throw new CommandError(`${reference} must be models:/NAME@ALIAS or models:/NAME/VERSION`);
  const [{ mlflowClient }, { pullFromMlflow, versionOfAlias }] = await Promise.all([
    import('@hotloop/retrainer/runs/mlflow/mlflow-client.ts'),
    import('@hotloop/retrainer/runs/mlflow/model-registry.ts'),
  ]);
  const mlflow = mlflowClient(server.url, server.token);
  const version = number ?? (await versionOfAlias(mlflow, name, alias));
  return { name, version, ...(await pullFromMlflow(mlflow, name, version)) };
}
