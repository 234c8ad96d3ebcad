import { type ChildProcess, fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import { RUNTIME_ENVIRONMENT } from '@hotloop/model/onnx/runtime-environment.ts';
import { type Ask, askChild } from './stand/commands.ts';

/** A child process of the benchmark that prints its port. */
export interface Child extends AsyncDisposable {
  readonly port: number;
  readonly process: ChildProcess;
  /** For children that serve commands. */
  readonly ask: Ask;
}

export interface ChildOptions {
  readonly args?: readonly string[];
  /** Folder for a CPU profile that is written when the child ends. */
  readonly profile?: string | undefined;
}

const START_MS = 60_000;
const STOP_MS = 20_000;

/**
 * Forks a module that prints `{"ready":true,"port":N}` on stdout and ends by itself when its channel closes.
 * Disposing closes the channel, and kills the child after a while. Throws when it ends or prints nothing at the
 * start.
 */
export async function startChild(modulePath: string, options: ChildOptions = {}): Promise<Child> {
  const { args = [], profile } = options;
  const child = fork(modulePath, [...args], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: { TZ: 'UTC', ...RUNTIME_ENVIRONMENT },
    execArgv: profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const ask = askChild(child);
  const stop = async () => {
    if (child.connected) child.disconnect();
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
  };
  const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
  try {
    for await (const line of createInterface({ input: child.stdout! })) {
      const message = parse(line);
      if (message?.ready !== true) continue;
      child.stdout?.resume();
      return { port: Number(message.port), process: child, ask, [Symbol.asyncDispose]: stop };
    }
    throw new Error(`${modulePath.split('/').at(-1)} ended, or did not start within ${START_MS / 1000} s`);
  } catch (error) {
    child.kill('SIGKILL');
    await ended;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function parse(line: string): { ready?: boolean; port?: number } | undefined {
  try {
    return JSON.parse(line) as { ready?: boolean; port?: number };
  } catch {
    return undefined;
  }
}
