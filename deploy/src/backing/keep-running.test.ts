import { describe, expect, it } from 'vitest';
import { keepRunning } from './keep-running.ts';
import type { ServerProcess } from './server-process.ts';

/** Simulated server processes that end on command, with a count of the starts. */
class Lives {
  readonly begun: { end: () => void; disposed: boolean }[] = [];
  failures = 0;

  readonly start = async (): Promise<ServerProcess<true>> => {
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error('not yet');
    }
    const exited = Promise.withResolvers<void>();
    const life = { end: exited.resolve, disposed: false };
    this.begun.push(life);
    return {
      ready: true,
      pid: this.begun.length,
      exited: exited.promise,
      async [Symbol.asyncDispose]() {
        life.disposed = true;
        exited.resolve();
      },
    };
  };
}

async function kept(lives: Lives, log: string[] = []) {
  const server = await lives.start();
  return keepRunning(server, { name: 'Server', start: lives.start, log: (line) => log.push(line) });
}

describe('a server that is kept running', () => {
  it('is restarted when it ends by itself, also after failed attempts', async () => {
    const lives = new Lives();
    const log: string[] = [];
    await using server = await kept(lives, log);
    lives.failures = 2;
    lives.begun[0]?.end();
    await expect.poll(() => server.pid).toBe(2);
    expect(log).toEqual([
      'Server could not be restarted; retrying',
      'Server could not be restarted; retrying',
      'Server is back',
    ]);
  });

  it('is not restarted after a stop, also when it was restarted before', async () => {
    const lives = new Lives();
    const server = await kept(lives);
    lives.begun[0]?.end();
    await expect.poll(() => server.pid).toBe(2);
    await server[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    expect(lives.begun.map((life) => life.disposed)).toEqual([false, true]);
  });
});
