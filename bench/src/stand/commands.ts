import type { ChildProcess } from 'node:child_process';

/**
 * Commands that a child of the benchmarks serves over its channel: name -> function. Arguments and results are plain
 * data.
 */
export type Commands = Readonly<Record<string, (argument: never) => unknown>>;

interface Asked {
  readonly id: number;
  readonly command: string;
  readonly argument: unknown;
}

interface Answered {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** Serves commands to the parent, each as soon as it arrives. */
export function serveCommands(commands: Commands): void {
  process.on('message', (message: Asked) => {
    void answer(commands, message).then((answered) => process.send?.(answered));
  });
}

async function answer(commands: Commands, { id, command, argument }: Asked): Promise<Answered> {
  try {
    const work = commands[command];
    if (!work) throw new RangeError(`no command ${command}`);
    return { id, result: await work(argument as never) };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * Sends a command to a child and waits for its answer. Rejects with the child's error, when it ends, or after
 * `timeoutMs`.
 */
export type Ask = <Result>(command: string, argument?: unknown, timeoutMs?: number) => Promise<Result>;

const PATIENCE_MS = 60_000;

/** The calling side; one per child. */
export function askChild(child: ChildProcess): Ask {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let last = 0;
  child.on('message', (message: Answered) => {
    const asked = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error === undefined) asked?.resolve(message.result);
    else asked?.reject(new Error(message.error));
  });
  child.once('exit', (code, signal) => {
    for (const asked of waiting.values()) asked.reject(new Error(`the child ended (${signal ?? code})`));
    waiting.clear();
  });
  return async <Result>(command: string, argument?: unknown, timeoutMs = PATIENCE_MS) => {
    const id = ++last;
    const asked = Promise.withResolvers<unknown>();
    waiting.set(id, asked);
    const timer = setTimeout(() => {
      waiting.delete(id);
      asked.reject(new Error(`${command} took longer than ${timeoutMs / 1000} s`));
    }, timeoutMs);
    try {
      child.send({ id, command, argument });
      return (await asked.promise) as Result;
    } finally {
      clearTimeout(timer);
    }
  };
}
