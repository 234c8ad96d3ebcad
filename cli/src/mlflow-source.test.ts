import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { fetchMlflowModel, isMlflowReference } from './mlflow-source.ts';

const FILES: Readonly<Record<string, string>> = {
  MLmodel: 'flavors:\n  onnx:\n    data: model.onnx\n',
  'model.onnx': 'the model',
  'model.yaml': 'name: churn\n',
};

/** The part of MLflow's REST API that is asked, as its tracking server answers it. */
async function startMlflow(artifactUri = 'mlflow-artifacts:/1/models/m-1/artifacts') {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
    const answer = (status: number, body: object | string) =>
      void response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
    if (pathname === '/api/2.0/mlflow/registered-models/alias')
      return searchParams.get('alias') === 'champion'
        ? answer(200, { model_version: { name: 'churn', version: '7' } })
        : answer(404, {
            error_code: 'RESOURCE_DOES_NOT_EXIST',
            message: 'Registered model alias x not found.',
          });
    if (pathname === '/api/2.0/mlflow/model-versions/get-download-uri')
      return answer(200, { artifact_uri: artifactUri });
    const file =
      FILES[
        /^\/api\/2\.0\/mlflow-artifacts\/artifacts\/1\/models\/m-1\/artifacts\/(.*)$/.exec(pathname)?.[1] ??
          ''
      ];
    return file === undefined ? answer(404, {}) : answer(200, file);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    server: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: undefined },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

it('fetches an alias or a version of the registry of MLflow, with its model.yaml', async () => {
  await using mlflow = await startMlflow();
  const found = await fetchMlflowModel('models:/churn@champion', mlflow.server);
  expect({
    ...found,
    onnx: Buffer.from(found.onnx).toString(),
  }).toEqual({
    ...{ name: 'churn', version: '7', onnx: 'the model', manifestYaml: 'name: churn\n' },
  });
  expect((await fetchMlflowModel('models:/churn/3', mlflow.server)).version).toBe('3');
  expect(isMlflowReference('models/churn')).toBe(false);
});

it('reports an unknown alias, an unknown format, artifacts elsewhere and an absent server', async () => {
  await using mlflow = await startMlflow('s3://key:secret@bucket/x');
  await expect(fetchMlflowModel('models:/churn@none', mlflow.server)).rejects.toThrow(/alias x not found/);
  await expect(fetchMlflowModel('models:/churn', mlflow.server)).rejects.toThrow(/NAME@ALIAS/);
  const elsewhere: unknown = await fetchMlflowModel('models:/churn/1', mlflow.server).catch(
    (error: unknown) => error,
  );
  expect(String(elsewhere)).toMatch(/serve-artifacts/);
  expect(String(elsewhere)).not.toContain('secret');
  const nobody = { url: 'http://127.0.0.1:1', token: undefined };
  await expect(fetchMlflowModel('models:/churn/1', nobody)).rejects.toThrow(/cannot be reached/);
});
