import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../testing/fixture.ts';
import type { TrainingRun } from '../run.ts';
import { exportRun } from './export-run.ts';
import { mlflowClient } from './mlflow-client.ts';
import { pullFromMlflow, pushToMlflow } from './model-registry.ts';

const PYTHON = 'python3';
const START_MS = 120_000;
const hasMlflow = spawnSync(PYTHON, ['-c', 'import mlflow'], { stdio: 'ignore' }).status === 0;
if (!hasMlflow) console.warn(`skipped beside MLflow: ${PYTHON} cannot import mlflow (pip install mlflow)`);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function startMlflow(): Promise<AsyncDisposable & { readonly url: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-mlflow-'));
  const port = await freePort();
  const args = ['-m', 'mlflow', 'server', '--host', '127.0.0.1', '--port', String(port), '--workers', '1'];
  const stores = ['--backend-store-uri', `sqlite:///${join(folder, 'db')}`, '--serve-artifacts'];
  const child = spawn(PYTHON, [...args, ...stores, '--artifacts-destination', join(folder, 'artifacts')], {
    cwd: folder,
    stdio: 'ignore',
    detached: true,
  });
  const url = `http://127.0.0.1:${port}`;
  await eventually(async () => (await fetch(`${url}/health`).catch(() => null))?.ok === true, START_MS);
  return {
    url,
    async [Symbol.asyncDispose]() {
      process.kill(-child.pid!, 'SIGKILL');
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

const RUN: TrainingRun = {
  ...{ runId: '3f2a9c1d-0000-4000-8000-000000000001', model: 'churn', key: 'k', reason: 'new labels' },
  ...{ hold: false, kind: 'retrain', experiment: '', overrides: {}, state: 'succeeded', message: 'live' },
  ...{ parameters: { optimizer: 'adam', hidden: [8] }, hardware: { processors: 2 }, token: 1 },
  ...{ parentVersion: 1, version: 2, datasetSha256: 'ab'.repeat(32), examples: 100, progress: 1 },
  ...{ metrics: { auc: 0.8, loss: 0.5 }, gate: null, createdAt: 1_000, startedAt: 2_000, endedAt: 3_000 },
};

describe('MLflow', () => {
  it.skipIf(!hasMlflow)(
    'stores each run once, and models as ONNX that are returned unchanged',
    async () => {
      await using server = await startMlflow();
      const mlflow = mlflowClient(server.url);
      const curve = [1, 2, 3].map((step) => ({ name: 'loss', step, value: 1 / step }));
      const first = await exportRun(mlflow, RUN, curve);
      expect(first.created).toBe(true);
      expect(await exportRun(mlflow, RUN, curve)).toMatchObject({ id: first.id, created: false });
      const { run } = await mlflow.get<{
        run: { info: object; data: { metrics: object[]; params: object[] } };
      }>('runs/get', { run_id: first.id });
      expect(run.info).toMatchObject({ status: 'FINISHED', start_time: 2_000, end_time: 3_000 });
      expect(run.data.params).toContainEqual({ key: 'hidden', value: '[8]' });
      expect(run.data.metrics).toContainEqual(expect.objectContaining({ key: 'auc', value: 0.8 }));
      const { metrics } = await mlflow.get<{ metrics: object[] }>('metrics/get-history', {
        run_id: first.id,
        metric_key: 'curve/loss',
      });
      expect(metrics).toHaveLength(3);

      const onnx = perceptron({
        ...{ inputs: 2, hidden: [], outputs: 1, activation: 'relu', head: 'sigmoid', seed: 1 },
      });
      const files = { onnx, manifestYaml: 'name: churn\n' };
      expect(await pushToMlflow(mlflow, 'churn', 2, files)).toBe('1');
      expect(await pushToMlflow(mlflow, 'churn', 3, files)).toBe('2');
      const back = await pullFromMlflow(mlflow, 'churn', '2');
      expect(Buffer.compare(back.onnx, onnx)).toBe(0);
      expect(back.manifestYaml).toBe('name: churn\n');
      await expect(pullFromMlflow(mlflow, 'churn', '9')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    },
    180_000,
  );

  it('is refused for an address that is not allowed, and reported when unavailable', async () => {
    expect(() => mlflowClient('ftp://x')).toThrow('must be a URL');
    const away = mlflowClient(`http://127.0.0.1:${await freePort()}`);
    await expect(exportRun(away, RUN, [])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
