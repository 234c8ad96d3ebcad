import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { processIdentity } from '../backing/process-identity.ts';
import { startWatchdog } from '../backing/watchdog.ts';
import { freeAddress } from './free-address.ts';
import { type ReadyLine, startServiceChild } from './service-child.ts';
import { openServiceLog } from './service-log.ts';
import { type ServiceEvent, superviseService } from './supervised-service.ts';

const NEVER = new AbortController().signal;
const READY = `process.stdout.write(JSON.stringify({ ready: true, address: '127.0.0.1:' + (process.env.PORT ?? 7) }) + '\\n');`;
const STAY = `setInterval(() => {}, 1000);`;

/** A zombie, which has ended but was not waited for yet, does not count. */
async function isAlive(pid: number | undefined): Promise<boolean> {
  return pid !== undefined && (await processIdentity(pid)) !== undefined;
}

async function withService(text: string) {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-service-'));
  const script = join(folder, 'service.mjs');
  await writeFile(script, text);
  const stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const log = stack.use(await openServiceLog(join(folder, 'service.log')));
  const watchdog = stack.use(startWatchdog());
  const recordFile = join(folder, 'process.json');
  const options = { name: 'the service', script, cwd: folder, recordFile, log, watchdog };
  return { options, folder, script, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('startServiceChild', () => {
  it('returns the ready line, writes the output of the service to its log, and stops it', async () => {
    await using service = await withService(`console.error('a word'); ${READY} ${STAY}`);
    const child = await startServiceChild({ ...service.options, env: { PORT: '99' } }, NEVER);
    expect(child.ready.address).toBe('127.0.0.1:99');
    await child.stop(5000);
    expect(await isAlive(child.pid)).toBe(false);
    await service.options.log[Symbol.asyncDispose]();
    expect(await readFile(service.options.log.file, 'utf8')).toContain('a word');
  });

  it('reports the last lines of a service that ends while it starts, and the log with the others', async () => {
    await using service = await withService(`console.error('no such database'); process.exit(3);`);
    const started = startServiceChild({ ...service.options, env: {} }, NEVER);
    await expect(started).rejects.toMatchObject({ code: 'SERVICE_FAILED' });
    await expect(started).rejects.toThrow(/exit code 3.*service\.log.*\nno such database/s);
  });

  it('ends a service whose start is aborted', async () => {
    await using service = await withService(`console.error(process.pid); ${STAY}`);
    const stop = new AbortController();
    const started = startServiceChild({ ...service.options, env: {} }, stop.signal);
    await expect.poll(() => service.options.log.lastLines().length).toBe(1);
    stop.abort(new Error('stopped'));
    await expect(started).rejects.toThrow('stopped');
    expect(await isAlive(Number(service.options.log.lastLines()[0]))).toBe(false);
  });

  it('kills a service that does not stop, with the processes that it started', async () => {
    await using service = await withService(`
      import { spawn } from 'node:child_process';
      process.on('SIGTERM', () => {});
      const child = spawn(process.execPath, ['-e', '${STAY}'], { stdio: 'ignore' });
      console.error(child.pid);
      ${READY} ${STAY}`);
    const child = await startServiceChild({ ...service.options, env: {} }, NEVER);
    await expect.poll(() => service.options.log.lastLines().length).toBe(2);
    const grandchild = Number(service.options.log.lastLines().find((line) => /^\d+$/.test(line)));
    expect(await isAlive(grandchild)).toBe(true);
    await child.stop(200);
    await expect.poll(() => Promise.all([isAlive(child.pid), isAlive(grandchild)])).toEqual([false, false]);
  });
});

describe('superviseService', () => {
  it('restarts a crashed service at the same address, but not a stopped one', async () => {
    await using service = await withService(`${READY} ${STAY}`);
    const events: ServiceEvent[] = [];
    const supervised = await superviseService(
      {
        ...service.options,
        env: (first: ReadyLine | undefined) => ({ PORT: first ? (first.address.split(':')[1] ?? '') : '41' }),
        onEvent: (event) => events.push(event),
      },
      NEVER,
    );
    const first = supervised.pid!;
    process.kill(first, 'SIGKILL');
    await expect
      .poll(() => events.map(({ kind }) => kind), { timeout: 20_000 })
      .toEqual(['crashed', 'restarted']);
    expect(events[0]).toMatchObject({ service: 'the service', how: 'SIGKILL' });
    const second = supervised.pid!;
    expect(await Promise.all([isAlive(first), isAlive(second)])).toEqual([false, true]);
    expect(second).not.toBe(first);
    expect(service.options.log.lastLines().filter((line) => line.includes(':41'))).toHaveLength(2);
    await supervised.stop(5000);
    expect(await isAlive(second)).toBe(false);
    expect(events).toHaveLength(2);
  });
});

describe('freeAddress', () => {
  it('selects another port, or refuses with the name, if the port is taken', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    try {
      const address = taken.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      expect(await freeAddress({ preferably: port }, 'the front door')).toBe('127.0.0.1:0');
      await expect(freeAddress({ exactly: port }, 'the front door')).rejects.toThrow(
        `port ${port} of 127.0.0.1, where the front door listens, is taken`,
      );
    } finally {
      taken.close();
    }
  });
});
