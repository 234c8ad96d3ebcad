import { readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * The files that a runner's process reads before its first frame: our code, and ONNX Runtime's binding for this
 * platform.
 */
export async function filesOfARunner(): Promise<readonly string[]> {
  const folder = import.meta.dirname;
  const runtime = createRequire(import.meta.url).resolve('onnxruntime-node');
  const interfaces = createRequire(runtime).resolve('onnxruntime-common');
  const binaries = join(dirname(runtime), '..', 'bin');
  const [own, native] = await Promise.all([
    readdir(folder),
    readdir(binaries, { recursive: true, withFileTypes: true }),
  ]);
  const system = join(process.platform, process.arch);
  return [
    ...own.filter((name) => name.endsWith('.ts')).map((name) => join(folder, name)),
    runtime,
    interfaces,
    ...native
      .filter((entry) => entry.isFile() && entry.parentPath.endsWith(system))
      .map((entry) => join(entry.parentPath, entry.name)),
  ];
}
