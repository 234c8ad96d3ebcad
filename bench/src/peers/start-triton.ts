import { spawn } from 'node:child_process';
import { chmod, copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pythonWith } from '@hotloop/compute/testing/python-client.ts';
import { freePort } from '@hotloop/deploy/backing/free-port.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { type RawLoad, rawLoad } from '../load/raw-load.ts';
import { type BenchModel, rowElements } from '../models/bench-models.ts';

/** The wheel contains the server, which is the only part of it that is used; then the packages that the model needs. */
const PACKAGES = ['nvidia-pytriton==0.7.0', 'onnxruntime', 'numpy'];
const MODEL = fileURLToPath(new URL('./triton-model.py', import.meta.url));
const START_MS = 120_000;
const STOP_MS = 20_000;
const MAX_BATCH = 64;
const STARTED = /Started GRPCInferenceService at/;

/** Triton with one model, in its own processes, and a client of it in this one. */
export interface TritonPeer extends AsyncDisposable {
  readonly load: RawLoad;
}

/**
 * Starts Triton with its Python backend on a model of one float input `[N, columns]`, as `triton-model.py` serves it.
 *
 * @param folder an empty folder for its model repository.
 * @returns the reason in one line when this machine cannot install or start it.
 */
export async function startTriton(
  model: BenchModel,
  folder: string,
): Promise<TritonPeer | { readonly reason: string }> {
  const found = await pythonWith('triton-server', PACKAGES, { withDependencies: false });
  if ('reason' in found) return found;
  try {
    const installed = await findServer(join(found.python, '..', '..'));
    await writeRepository(model, folder, installed);
    return await serve(installed, folder);
  } catch (error) {
    return { reason: `Triton cannot be started here (${error instanceof Error ? error.message : error})` };
  }
}

interface InstalledServer {
  readonly program: string;
  readonly backends: string;
  readonly sitePackages: string;
}

/**
 * Finds the server within the environment's packages, and completes its Python backend with the stub for this Python
 * version.
 */
async function findServer(environment: string): Promise<InstalledServer> {
  const [version] = (await readdir(join(environment, 'lib'))).filter((name) => name.startsWith('python3.'));
  if (version === undefined) throw new Error('the environment has no Python packages');
  const sitePackages = join(environment, 'lib', version, 'site-packages');
  const server = join(sitePackages, 'pytriton', 'tritonserver');
  const stub = join(
    server,
    'python_backend_stubs',
    version.slice('python'.length),
    'triton_python_backend_stub',
  );
  const backend = join(server, 'backends', 'python', 'triton_python_backend_stub');
  await copyFile(stub, backend);
  const program = join(server, 'bin', 'tritonserver');
  for (const file of [backend, program]) await chmod(file, 0o755);
  return { program, backends: join(server, 'backends'), sitePackages };
}

async function writeRepository(
  model: BenchModel,
  folder: string,
  { sitePackages }: InstalledServer,
): Promise<void> {
  const [output] = inspectModel(model.onnx).outputs;
  if (!output) throw new Error('the model has no output');
  const version = join(folder, model.name, '1');
  await mkdir(version, { recursive: true });
  // The stub only looks for packages in the system's Python.
  const path = `import sys\n\nsys.path.insert(0, ${JSON.stringify(sitePackages)})\n`;
  await writeFile(join(version, 'model.py'), path + (await readFile(MODEL, 'utf8')));
  await writeFile(join(version, 'model.onnx'), model.onnx);
  const tensor = (name: string, columns: number) =>
    `[{name: "${name}", data_type: TYPE_FP32, dims: [${columns}]}]`;
  const config = [
    `name: "${model.name}"`,
    'backend: "python"',
    `max_batch_size: ${MAX_BATCH}`,
    `input ${tensor(model.input, rowElements(model))}`,
    `output ${tensor(output.name, 1)}`,
    'instance_group [{count: 1, kind: KIND_CPU}]',
    'dynamic_batching {}',
  ];
  await writeFile(join(folder, model.name, 'config.pbtxt'), `${config.join('\n')}\n`);
}

async function serve(installed: InstalledServer, repository: string): Promise<TritonPeer> {
  const port = await freePort();
  const settings = {
    'model-repository': repository,
    'backend-directory': installed.backends,
    'grpc-address': '127.0.0.1',
    'grpc-port': String(port),
    'allow-http': 'false',
    'allow-metrics': 'false',
  };
  const child = spawn(
    installed.program,
    Object.entries(settings).map(([name, value]) => `--${name}=${value}`),
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { TZ: 'UTC', PATH: '/usr/local/bin:/usr/bin:/bin' },
    },
  );
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const stop = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
  };
  const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
  let last = 'it printed nothing';
  try {
    for await (const line of createInterface({ input: child.stderr })) {
      last = line.slice(0, 300);
      if (!STARTED.test(line)) continue;
      child.stderr.resume();
      const load = rawLoad(`127.0.0.1:${port}`);
      return {
        load,
        async [Symbol.asyncDispose]() {
          await load[Symbol.asyncDispose]();
          await stop();
        },
      };
    }
    throw new Error(last);
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
