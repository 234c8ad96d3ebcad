import { execFile } from 'node:child_process';
import { cp, mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Starts a file of an image's tree in a chroot that contains only the tree as /app, Node and the system's libraries.
 * Needs root. Returns its output; a service without configuration ends at once with a message, after all its imports.
 */
export async function startInChroot(root: string, file: string): Promise<string> {
  await mkdir(join(root, 'tmp'), { recursive: true });
  const natives = (await readdir(join(root, 'app'), { recursive: true }))
    .filter((name) => /\.node$|\.so(\.\d+)*$/.test(name))
    .map((name) => join(root, 'app', name));
  await copyProgram(process.execPath, root);
  for (const library of natives) await copyLibraries(library, root);
  const { stdout, stderr } = await run('chroot', [root, process.execPath, `/app/${file}`], {
    env: { PATH: '/usr/sbin:/sbin:/usr/bin:/bin' },
    timeout: 60_000,
  }).catch((error: { stdout?: string; stderr?: string }) => ({
    stdout: error.stdout ?? '',
    stderr: error.stderr ?? '',
  }));
  return stdout + stderr;
}

async function copyProgram(path: string, root: string): Promise<void> {
  await copyInto(path, root);
  await copyLibraries(path, root);
}

/** Libraries that the dynamic linker would load; those for another system have none. */
async function copyLibraries(path: string, root: string): Promise<void> {
  const { stdout } = await run('ldd', [path]).catch(() => ({ stdout: '' }));
  for (const [, library = ''] of stdout.matchAll(/(\/\S+) \(0x/g))
    if (!library.startsWith(root)) await copyInto(library, root);
}

async function copyInto(path: string, root: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await cp(path, join(root, path), { dereference: true, force: true });
}
