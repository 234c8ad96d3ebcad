import { HotloopError } from '@hotloop/proto/errors.ts';
import type { TrainingRun } from '../run.ts';
import type { CurvePoint } from '../run-metrics.ts';
import type { MlflowClient } from './mlflow-client.ts';

/** Tag of the run in MLflow. It is used to find the run again, so that it is exported once. */
export const RUN_TAG = 'hotloop.run_id';
const MOST_METRICS = 1_000;
const MOST_TEXT = 500;

interface MlflowRun {
  readonly info: { readonly run_id: string; readonly artifact_uri: string };
}

/** Finds an experiment by name, or creates it. */
export async function experimentId(mlflow: MlflowClient, name: string): Promise<string> {
  const find = async () =>
    (
      await mlflow.get<{ experiment: { experiment_id: string } }>('experiments/get-by-name', {
        experiment_name: name,
      })
    ).experiment.experiment_id;
  try {
    return await find();
  } catch (error) {
    if (!(error instanceof HotloopError) || error.code !== 'NOT_FOUND') throw error;
  }
  try {
    return (await mlflow.post<{ experiment_id: string }>('experiments/create', { name })).experiment_id;
  } catch (error) {
    // Another process has just created it.
    if (error instanceof HotloopError && error.code === 'ALREADY_EXISTS') return find();
    throw error;
  }
}

/** The MLflow run to which a run was exported; null if it was not. */
export async function findExported(
  mlflow: MlflowClient,
  experiment: string,
  runId: string,
): Promise<MlflowRun | null> {
  const { runs = [] } = await mlflow.post<{ runs?: MlflowRun[] }>('runs/search', {
    experiment_ids: [experiment],
    filter: `tags.\`${RUN_TAG}\` = '${runId}'`,
    max_results: 1,
  });
  return runs[0] ?? null;
}

/**
 * Writes an ended run to MLflow: parameters, metrics, curves, dataset, parent, hardware, under the experiment `hotloop/MODEL` (or the
 * search's). A run that already exists there is not changed. Returns its id there, and whether it was written now.
 */
export async function exportRun(
  mlflow: MlflowClient,
  run: TrainingRun,
  curve: readonly CurvePoint[],
): Promise<{ readonly id: string; readonly artifacts: string; readonly created: boolean }> {
  const group = run.experiment === '' ? '' : `/${run.experiment}`;
  const experiment = await experimentId(mlflow, `hotloop/${run.model}${group}`);
  const known = await findExported(mlflow, experiment, run.runId);
  if (known) return { id: known.info.run_id, artifacts: known.info.artifact_uri, created: false };
  const { run: made } = await mlflow.post<{ run: MlflowRun }>('runs/create', {
    experiment_id: experiment,
    start_time: run.startedAt ?? run.createdAt,
    run_name: `${run.kind} ${run.runId.slice(0, 8)}`,
    tags: tagsOf(run),
  });
  const id = made.info.run_id;
  const at = run.endedAt ?? run.createdAt;
  const metrics = [
    ...Object.entries(run.metrics).map(([key, value]) => ({
      key: nameOf(key),
      value,
      timestamp: at,
      step: 0,
    })),
    ...curve.map(({ name, step, value }) => ({ key: `curve/${nameOf(name)}`, value, timestamp: at, step })),
  ];
  const params = Object.entries(run.parameters).map(([key, value]) => ({
    key: nameOf(key),
    value: textOf(value),
  }));
  for (let from = 0; from < Math.max(metrics.length, 1); from += MOST_METRICS)
    await mlflow.post('runs/log-batch', {
      run_id: id,
      metrics: metrics.slice(from, from + MOST_METRICS),
      params: from === 0 ? params.slice(0, 100) : [],
      tags: [],
    });
  await mlflow.post('runs/update', { run_id: id, status: statusOf(run), end_time: at });
  return { id, artifacts: made.info.artifact_uri, created: true };
}

function tagsOf(run: TrainingRun) {
  const tags: Record<string, unknown> = {
    [RUN_TAG]: run.runId,
    'hotloop.model': run.model,
    'hotloop.state': run.state,
    'hotloop.reason': run.reason,
    'hotloop.message': run.message,
    'hotloop.dataset_sha256': run.datasetSha256 ?? '',
    'hotloop.parent_version': run.parentVersion ?? '',
    'hotloop.version': run.version ?? '',
    ...Object.fromEntries(
      Object.entries(run.hardware).map(([key, value]) => [`hotloop.hardware.${key}`, value]),
    ),
  };
  return Object.entries(tags).map(([key, value]) => ({ key, value: textOf(value) }));
}

function statusOf({ state }: TrainingRun): string {
  if (state === 'failed') return 'FAILED';
  return state === 'cancelled' ? 'KILLED' : 'FINISHED';
}

/** MLflow allows letters, digits, _, -, ., spaces and slashes. */
const nameOf = (key: string) => key.replaceAll(/[^\w\-. /]/g, '_').slice(0, 250);

const textOf = (value: unknown) =>
  (typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).slice(0, MOST_TEXT);
