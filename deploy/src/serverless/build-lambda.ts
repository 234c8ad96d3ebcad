import { cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

export interface LambdaBundle {
  readonly folder: string;
  readonly bytes: number;
}

export interface LambdaOptions {
  /** A fused file. */
  readonly model: string;
  /** Its contents are removed first. */
  readonly out: string;
  /** Architecture of the function's machine. */
  readonly architecture: 'x64' | 'arm64';
}

/**
 * Creates the folder of a function for AWS Lambda (Node 24, handler `index.handler`): one file of code, the model,
 * and the runtime's library for one architecture. Zip it, or put it in an image.
 */
export async function buildLambda({ model, out, architecture }: LambdaOptions): Promise<LambdaBundle> {
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  const bundle = await rolldown({
    input: { index: fileURLToPath(new URL('./lambda-main.ts', import.meta.url)) },
    platform: 'node',
    external: ['onnxruntime-node'],
    logLevel: 'silent',
  });
  try {
    await bundle.write({
      dir: out,
      format: 'esm',
      entryFileNames: '[name].mjs',
      chunkFileNames: '[name].mjs',
      minify: true,
    });
  } finally {
    await bundle.close();
  }
  await cp(model, join(out, 'model.onnx'));
  await copyRuntime(out, architecture);
  return { folder: out, bytes: await sizeOf(out) };
}

/** Copies the runtime's package without the libraries for other machines, and without its install files. */
async function copyRuntime(out: string, architecture: string): Promise<void> {
  const from = createRequire(import.meta.url);
  const root = dirname(dirname(from.resolve('onnxruntime-node')));
  const common = dirname(
    dirname(dirname(createRequire(join(root, 'package.json')).resolve('onnxruntime-common'))),
  );
  const to = join(out, 'node_modules', 'onnxruntime-node');
  const [binaries = 'napi-v6'] = await readdir(join(root, 'bin'));
  const library = join('bin', binaries, 'linux', architecture);
  for (const part of ['package.json', 'dist', library])
    await cp(join(root, part), join(to, part), { recursive: true });
  for (const part of ['package.json', 'dist/cjs'])
    await cp(join(common, part), join(out, 'node_modules', 'onnxruntime-common', part), { recursive: true });
}

async function sizeOf(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true });
  const sizes = await Promise.all(names.map(async (name) => stat(join(folder, name))));
  return sizes.reduce((sum, found) => sum + (found.isFile() ? found.size : 0), 0);
}
