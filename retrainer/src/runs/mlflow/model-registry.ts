import { HotloopError } from '@hotloop/proto/errors.ts';
import { parse } from 'yaml';
import { experimentId } from './export-run.ts';
import type { MlflowClient } from './mlflow-client.ts';

const FOLDER = 'model';

/** The files of a version in MLflow: an ONNX model in its flavour, with model.yaml beside it. */
export interface RegisteredFiles {
  readonly onnx: Uint8Array;
  /** Null for a model from elsewhere. */
  readonly manifestYaml: string | null;
}

/**
 * Registers a version in MLflow's model registry, where `mlflow.onnx.load_model` and `mlflow models serve` find it. Returns MLflow's
 * version number.
 */
export async function pushToMlflow(
  mlflow: MlflowClient,
  name: string,
  version: number,
  { onnx, manifestYaml }: RegisteredFiles,
): Promise<string> {
  const experiment = await experimentId(mlflow, `hotloop/${name}`);
  const { run } = await mlflow.post<{ run: { info: { run_id: string; artifact_uri: string } } }>(
    'runs/create',
    {
      experiment_id: experiment,
      start_time: Date.now(),
      run_name: `version ${version}`,
      tags: [{ key: 'hotloop.version', value: String(version) }],
    },
  );
  const { run_id: id, artifact_uri: artifacts } = run.info;
  const source = `${artifacts}/${FOLDER}`;
  await mlflow.putArtifact(`${source}/model.onnx`, onnx);
  if (manifestYaml !== null) await mlflow.putArtifact(`${source}/model.yaml`, Buffer.from(manifestYaml));
  await mlflow.putArtifact(`${source}/requirements.txt`, Buffer.from('mlflow\nonnx\nonnxruntime\n'));
  await mlflow.putArtifact(`${source}/MLmodel`, Buffer.from(flavours(id)));
  await mlflow.post('runs/update', { run_id: id, status: 'FINISHED', end_time: Date.now() });
  await mlflow.post('registered-models/create', { name }).catch((error: unknown) => {
    if (!(error instanceof HotloopError) || error.code !== 'ALREADY_EXISTS') throw error;
  });
  const made = await mlflow.post<{ model_version: { version: string } }>('model-versions/create', {
    ...{ name, source, run_id: id, description: `version ${version} of Hotloop` },
    tags: [{ key: 'hotloop.version', value: String(version) }],
  });
  return made.model_version.version;
}

/** The version that an alias of MLflow's registry names. Throws NOT_FOUND. */
export async function versionOfAlias(mlflow: MlflowClient, name: string, alias: string): Promise<string> {
  const found = await mlflow.get<{ model_version: { version: string } }>('registered-models/alias', {
    name,
    alias,
  });
  return String(found.model_version.version);
}

/**
 * Reads a version of MLflow's registry: the file of its ONNX flavour, and model.yaml if it was logged. Throws NOT_FOUND,
 * FAILED_PRECONDITION.
 */
export async function pullFromMlflow(
  mlflow: MlflowClient,
  name: string,
  version: string,
): Promise<RegisteredFiles> {
  const { artifact_uri: source } = await mlflow.get<{ artifact_uri: string }>(
    'model-versions/get-download-uri',
    { name, version },
  );
  const read = (file: string) => mlflow.getArtifact(`${source}/${file}`);
  const described: unknown = parse(Buffer.from(await read('MLmodel')).toString('utf8'));
  const onnx = (described as { flavors?: { onnx?: { data?: string } } } | null)?.flavors?.onnx?.data;
  if (onnx === undefined)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `version ${version} of ${name} has no ONNX flavour: log it with mlflow.onnx.log_model; \`hotloop model convert\` makes one of an MLflow model's folder`,
      { reason: 'not_onnx' },
    );
  const manifest = await read('model.yaml').catch((error: unknown) => {
    if (error instanceof HotloopError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  });
  return {
    onnx: await read(onnx),
    manifestYaml: manifest === undefined ? null : Buffer.from(manifest).toString('utf8'),
  };
}

/** MLflow's description of an ONNX model (https://mlflow.org/docs/latest/models.html). */
function flavours(runId: string): string {
  return `artifact_path: ${FOLDER}
flavors:
  onnx:
    code: null
    data: model.onnx
    onnx_version: 1.16.0
    providers: [CPUExecutionProvider]
  python_function:
    data: model.onnx
    env: requirements.txt
    loader_module: mlflow.onnx
run_id: ${runId}
utc_time_created: '${new Date().toISOString().replace('T', ' ').replace('Z', '')}'
`;
}
