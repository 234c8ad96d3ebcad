import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { withDeadline } from '@hotloop/platform/grpc/client.ts';
import { createTestDatabase, createTestRedis } from '@hotloop/platform/testing/test-services.ts';
import { describe, expect, it } from 'vitest';
import { reply, retrainerClients } from './testing/clients.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

function startMain(environment: Record<string, string>) {
  const child = spawn(process.execPath, [MAIN], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  return { child, printed: () => printed };
}

async function readyAddress(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const message = JSON.parse(line) as { ready?: boolean; address?: string };
    if (message.ready && message.address) return message.address;
  }
  throw new Error('the process ended before it was ready');
}

async function environment(
  stack: AsyncDisposableStack,
  role: 'cache' | 'queue',
): Promise<Record<string, string>> {
  const database = stack.use(await createTestDatabase());
  const redis = stack.use(await createTestRedis(role));
  const store = await mkdtemp(join(tmpdir(), 'hotloop-retrainer-main-'));
  stack.defer(() => rm(store, { recursive: true, force: true }));
  return {
    DATABASE_URL: database.url,
    REDIS_QUEUE_URL: redis.url,
    HOTLOOP_LISTEN: '127.0.0.1:0',
    HOTLOOP_HTTP_LISTEN: '127.0.0.1:0',
    HOTLOOP_STORE: store,
    HOTLOOP_LOG_LEVEL: 'error',
  };
}

describe('the retrainer process', () => {
  it('serves, and ends on SIGTERM without an error', async () => {
    await using stack = new AsyncDisposableStack();
    const { child, printed } = startMain(await environment(stack, 'queue'));
    stack.defer(() => void child.kill('SIGKILL'));
    const address = await readyAddress(child);
    using client = retrainerClients(address);
    expect(await reply((done) => client.registry.ListModels({}, withDeadline(5_000), done))).toEqual({
      models: [],
    });
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
    expect(printed()).toBe('');
  });

  it('refuses a queue whose Redis may evict jobs, in one line', async () => {
    await using stack = new AsyncDisposableStack();
    const { child, printed } = startMain(await environment(stack, 'cache'));
    stack.defer(() => void child.kill('SIGKILL'));
    expect(await once(child, 'exit')).toEqual([1, null]);
    expect(printed()).toMatch(/^retrainer: .*allkeys-lru.*noeviction.*\n$/);
  });

  it('names the missing setting, in one line', async () => {
    const { child, printed } = startMain({ HOTLOOP_STOER: 'x' });
    expect(await once(child, 'exit')).toEqual([1, null]);
    expect(printed()).toMatch(/^retrainer: cannot start: .*HOTLOOP_STOER.*HOTLOOP_STORE.*DATABASE_URL.*\n$/);
  });
});
