import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { buildLambda } from '@hotloop/deploy/serverless/build-lambda.ts';
import { fuseModel } from '@hotloop/model/fused/fuse-model.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import type { Bench } from '../bench.ts';
import { type Figure, figure } from '../figure.ts';
import { benchFolder } from '../stand/bench-folder.ts';

const run = promisify(execFile);
const LEAST_ROUNDS = 7;
const MANIFEST = `name: churn
task: binary
decision: {labels: [stays, leaves]}
features:
  - {name: visits, from: request.visits, transform: [log1p]}
  - {name: age, from: request.age, missing: 30, range: [0, 120]}
  - {name: plan, from: request.plan, transform: [{one_hot: [free, pro]}]}
`;

/**
 * From the start of a process to its first answer: the Lambda bundle, called like Lambda does, compared with a bare
 * onnxruntime-node that loads the same file and runs one row.
 */
export const serverlessBench: Bench = async ({ rounds, say }): Promise<Figure[]> => {
  await using folder = await benchFolder();
  const manifest = parseManifest(MANIFEST);
  const network = perceptron({
    ...{ inputs: columnsOf(manifest).width, hidden: [256, 128], outputs: 1 },
    ...{ activation: 'relu', head: 'sigmoid', seed: 1 },
  });
  const { onnx } = fuseModel(manifest, network, { version: 1, bundleSha256: '' });
  const model = join(folder.path, 'model.onnx');
  await writeFile(model, onnx);
  const out = join(folder.path, 'lambda');
  const architecture = process.arch === 'arm64' ? 'arm64' : 'x64';
  const { bytes } = await buildLambda({ model, out, architecture });
  const lambda = await script(
    out,
    'first-call.mjs',
    `import { handler } from ${JSON.stringify(pathToFileURL(join(out, 'index.mjs')).href)};
const answer = await handler({ request: { visits: 3, plan: 'pro' } });
if (answer.statusCode !== 200) throw new Error(answer.body);
process.exit(0);`,
  );
  const bare = await script(
    out,
    'bare.mjs',
    `import ort from 'onnxruntime-node';
const session = await ort.InferenceSession.create(${JSON.stringify(model)}, { intraOpNumThreads: 1, interOpNumThreads: 1 });
const one = (type, data) => new ort.Tensor(type, data, [1, 1]);
const { score } = await session.run({
  'request.visits': one('float64', [3]), 'request.age': one('float64', [NaN]), 'request.plan': one('string', ['pro']),
});
if (!(score.data[0] >= 0)) throw new Error('no score');
process.exit(0);`,
  );
  const ratios: number[] = [];
  const firsts: number[] = [];
  for (let round = -2; round < Math.max(LEAST_ROUNDS, rounds); round++) {
    const [a, b] = [await coldMs(lambda, out), await coldMs(bare, out)];
    if (round < 0) continue;
    say(`bundle ${a.toFixed(0)} ms, bare runtime ${b.toFixed(0)} ms`);
    ratios.push(a / b);
    firsts.push(a);
  }
  return [
    figure('cold_ratio', ratios, { atMost: 1.5 }),
    figure('cold_ms', firsts),
    figure('cold_bundle_mb', [bytes / 1e6]),
  ];
};

async function script(folder: string, name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

async function coldMs(path: string, root: string): Promise<number> {
  const begun = performance.now();
  await run(process.execPath, [path], { env: { LAMBDA_TASK_ROOT: root, HOTLOOP_LOG_TO: join(root, 'log') } });
  return performance.now() - begun;
}
