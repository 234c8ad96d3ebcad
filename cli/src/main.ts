import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { UpOptions } from './command-context.ts';
import { CommandError } from './command-error.ts';
import { runCommandLine } from './run-command-line.ts';

const { HOTLOOP_PREPROCESSOR, HOTLOOP_RETRAINER, HOTLOOP_CONTROL, HOTLOOP_FRONT_DOOR, HOTLOOP_API_KEY } =
  process.env;
const { HOTLOOP_TLS_CA, HOTLOOP_TLS_CERT, HOTLOOP_TLS_KEY } = process.env;
const interrupted = new AbortController();

async function readNamedFile(path: string): Promise<Buffer> {
  try {
    return path === '-' ? await buffer(process.stdin) : await readFile(path);
  } catch (error) {
    const why =
      error instanceof Error && 'code' in error && error.code === 'ENOENT'
        ? 'is not there'
        : 'cannot be read';
    throw new CommandError(`${path} ${why}`, { cause: error });
  }
}

/** `up` belongs to the project's checkout: the platform itself is no part of the published package. */
async function up({ single, portBase, listen, dir }: UpOptions): Promise<number> {
  const script = fileURLToPath(new URL('../../deploy/src/up/main.ts', import.meta.url));
  if (!existsSync(script))
    throw new CommandError(
      '`hotloop up` runs from a checkout of the project; with the package alone, use --address',
    );
  const child = spawn(
    process.execPath,
    [
      script,
      ...(single ? ['--single'] : []),
      ...(portBase ? ['--port-base', portBase] : []),
      ...(listen ? ['--listen', listen] : []),
      ...(dir ? ['--dir', dir] : []),
    ],
    { stdio: 'inherit' },
  );
  // The terminal's Ctrl-C reaches the child by itself, and twice in a moment is once to it; one sent here alone is handed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return await new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
}

process.on('SIGINT', () => interrupted.abort());
const defaults = {
  ...(HOTLOOP_PREPROCESSOR ? { address: HOTLOOP_PREPROCESSOR } : {}),
  ...(HOTLOOP_RETRAINER ? { retrainer: HOTLOOP_RETRAINER } : {}),
  ...(HOTLOOP_CONTROL ? { control: HOTLOOP_CONTROL } : {}),
  ...(HOTLOOP_FRONT_DOOR ? { frontDoor: HOTLOOP_FRONT_DOOR } : {}),
  ...(HOTLOOP_API_KEY ? { apiKey: HOTLOOP_API_KEY } : {}),
  ...(HOTLOOP_TLS_CA ? { tlsCa: HOTLOOP_TLS_CA } : {}),
  ...(HOTLOOP_TLS_CERT ? { tlsCert: HOTLOOP_TLS_CERT } : {}),
  ...(HOTLOOP_TLS_KEY ? { tlsKey: HOTLOOP_TLS_KEY } : {}),
};
process.exitCode = await runCommandLine(
  process.argv.slice(2),
  {
    terminal: { out: process.stdout, err: process.stderr },
    signal: interrupted.signal,
    readFile: readNamedFile,
    environment: process.env,
    up,
  },
  defaults,
);
