import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { remoteInterfaceFile } from '@hotloop/model/onnx/remote-interface.ts';
import { openRemoteModel } from '@hotloop/platform/grpc/remote-model.ts';
import { expect, it } from 'vitest';
import { floatsOf, itemMaker } from './testing/infer-items.ts';
import { featureManifest, modelOf, storeVersion } from './testing/model-bundles.ts';
import { startTestCompute } from './testing/start-test-compute.ts';

const PYTHON = fileURLToPath(new URL('../../.hotloop/cache/mlserver/bin/mlserver', import.meta.url));
const SETTINGS = {
  name: 'stumps',
  implementation: 'stumps.Stumps',
  inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, 4] }],
  outputs: [{ name: 'score', datatype: 'FP32', shape: [-1, 1] }],
};
const MODEL = `import numpy
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse

class Stumps(MLModel):
    async def predict(self, payload):
        rows = NumpyCodec.decode_input(payload.inputs[0])
        if (rows > 100).any():
            raise ValueError("too large")
        score = 0.25 + 0.5 * (rows[:, :1] > 0) + 0.125 * (rows[:, 1:2] > 1)
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("score", score.astype(numpy.float32))]
        )
`;

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  for (const server of servers) server.close();
  return ports;
}

it('serves a Python model of the real MLServer, batched', async (context) => {
  if (!existsSync(PYTHON)) {
    console.warn('not run: make a Python environment with mlserver in .hotloop/cache/mlserver to run it');
    context.skip();
    return;
  }
  await using near = await startTestCompute();
  const folder = join(near.folder, 'mlserver');
  await mkdir(folder);
  const [http, grpc, metrics] = await freePorts(3);
  const listening = { host: '127.0.0.1', http_port: http, grpc_port: grpc, metrics_port: metrics };
  await writeFile(join(folder, 'settings.json'), JSON.stringify({ ...listening, parallel_workers: 0 }));
  await writeFile(join(folder, 'model-settings.json'), JSON.stringify(SETTINGS));
  await writeFile(join(folder, 'stumps.py'), MODEL);
  const server = spawn(PYTHON, ['start', folder], { stdio: 'ignore' });
  const ended = once(server, 'exit');
  try {
    const url = `grpc://127.0.0.1:${grpc}`;
    using remote = openRemoteModel({ url, model: 'stumps', version: '' });
    const until = performance.now() + 60_000;
    while (!(await remote.isReady(1_000).catch(() => false))) {
      if (performance.now() > until || server.exitCode !== null) throw new Error('MLServer did not start');
      await pause(100);
    }
    const { inputs, outputs } = await remote.metadata(5_000);
    const manifest = featureManifest('near', 4, `runtime: {remote: "${url}", model: stumps}\n`);
    const version = await storeVersion(near.store, 1, manifest, remoteInterfaceFile(inputs, outputs));
    near.registry.set(modelOf([version], { live: 1 }));
    near.registry.publish();
    await near.until('near', 1, 'ready');
    const item = itemMaker();
    const rows = Array.from({ length: 60 }, (_, row) => [row % 2 === 0 ? 1 : -1, row % 3, 0, 0]);
    const answers = await Promise.all(rows.map((row) => near.compute.port.infer(item('near', 1, [row]))));
    for (const [at, { outputs: found }] of answers.entries()) {
      const [first = 0, second = 0] = rows[at] ?? [];
      expect(floatsOf(found[0]?.contents ?? new Uint8Array())[0]).toBeCloseTo(
        0.25 + (first > 0 ? 0.5 : 0) + (second > 1 ? 0.125 : 0),
      );
    }
    expect(Math.max(...(near.compute.fleet.find('near', 1)?.statistics.runs.keys() ?? []))).toBeGreaterThan(
      1,
    );
    // The server's error message for a bad input reaches the caller, and the next input is answered.
    await expect(near.compute.port.infer(item('near', 1, [[101, 0, 0, 0]]))).rejects.toThrow(
      /too large|says/,
    );
    await near.compute.port.infer(item('near', 1, [[1, 0, 0, 0]]));
  } finally {
    server.kill('SIGKILL');
    await ended;
  }
}, 120_000);
