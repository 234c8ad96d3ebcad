import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { processIdentity } from './process-identity.ts';
import { endRecordedProcess, recordProcess } from './process-record.ts';
import { type ServerProcess, type ServerProcessOptions, startServerProcess } from './server-process.ts';
import { startWatchdog, type Watchdog } from './watchdog.ts';

/** A minimal server script; each test says what it does. */
const NEVER = new AbortController().signal;
let dir: string;
let watchdog: Watchdog;
let count = 0;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hotloop-server-'));
  watchdog = startWatchdog();
});
afterAll(async () => {
  await watchdog[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

function server(
  script: string,
  more: Partial<ServerProcessOptions<number>> = {},
): ServerProcessOptions<number> {
  count += 1;
  return {
    name: 'Test server',
    command: process.execPath,
    args: ['-e', script],
    env: {},
    cwd: dir,
    recordFile: join(dir, `process-${count}.json`),
    ready: (line) => (line.startsWith('ready ') ? Number(line.slice(6)) : undefined),
    startTimeoutMs: 10_000,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 5_000,
    watchdog,
    log: () => undefined,
    ...more,
  };
}

const SERVES = `console.log('ready 7'); setInterval(() => {}, 1000);`;

async function isGone(started: ServerProcess<unknown>): Promise<boolean> {
  await started.exited;
  return (await processIdentity(started.pid)) === undefined;
}

describe('a server process', () => {
  it('is ready with the data from its output, and ends on disposal, which may be repeated', async () => {
    const started = await startServerProcess(server(SERVES), NEVER);
    expect(started.ready).toBe(7);
    await Promise.all([started[Symbol.asyncDispose](), started[Symbol.asyncDispose]()]);
    await started[Symbol.asyncDispose]();
    expect(await isGone(started)).toBe(true);
  });

  it('that ends while starting is an error with its last output', async () => {
    const options = server(`console.error('no room on the disk'); process.exit(3);`);
    await expect(startServerProcess(options, NEVER)).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringMatching(/Test server ended while starting[\s\S]*no room on the disk/),
    });
  });

  it('that does not become ready is ended at its deadline', async () => {
    const options = server(`console.log('pid ' + process.pid); setInterval(() => {}, 1000);`, {
      startTimeoutMs: 500,
    });
    await expect(startServerProcess(options, NEVER)).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining('not ready within 0.5 s'),
    });
  });

  it('is ended when the start is aborted', async () => {
    const abort = new AbortController();
    const options = server(`console.log('started'); setInterval(() => {}, 1000);`, {
      ready: (line) => {
        if (line === 'started') abort.abort(new Error('changed my mind'));
        return undefined;
      },
    });
    await expect(startServerProcess(options, abort.signal)).rejects.toThrow('changed my mind');
    // The record is removed only after the process has ended.
    await expect(readFile(options.recordFile)).rejects.toThrow('ENOENT');
  });

  it('that cannot be started names its program', async () => {
    const options = server('', { command: join(dir, 'no-such-program') });
    await expect(startServerProcess(options, NEVER)).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining('no-such-program'),
    });
  });

  it('never blocks on its own output, whatever the amount', async () => {
    const said = 8 * 1024 * 1024;
    const script = `
      console.log('ready 1');
      const line = 'x'.repeat(1023) + '\\n';
      let left = ${said / 1024};
      const write = () => { while (left > 0) { left -= 1; if (!process.stdout.write(line)) return process.stdout.once('drain', write); }
        process.exit(0); };
      write();`;
    const started = await startServerProcess(server(script), NEVER);
    await started.exited;
    await started[Symbol.asyncDispose]();
  });

  it('that ignores its stop signal is killed', async () => {
    const script = `process.on('SIGTERM', () => {}); ${SERVES}`;
    const log: string[] = [];
    const options = server(script, { stopTimeoutMs: 200, log: (line) => log.push(line) });
    const started = await startServerProcess(options, NEVER);
    await started[Symbol.asyncDispose]();
    expect(await isGone(started)).toBe(true);
    expect(log.join()).toContain('killing it');
  });

  it('that ends by itself is reported in the log', async () => {
    const log: string[] = [];
    const started = await startServerProcess(server(SERVES, { log: (line) => log.push(line) }), NEVER);
    process.kill(started.pid, 'SIGKILL');
    await started.exited;
    expect(log).toEqual(['Test server ended by itself (SIGKILL)']);
    await started[Symbol.asyncDispose]();
  });

  it('left over by a killed run is ended by the next start', async () => {
    const left = await startServerProcess(server(SERVES), NEVER);
    const options = server(SERVES);
    await recordProcess(options.recordFile, left.pid);
    await using _next = await startServerProcess(options, NEVER);
    expect(await isGone(left)).toBe(true);
  });
});

describe('a process record', () => {
  it('never ends another process that got the same number', async () => {
    await using stranger = await startServerProcess(server(SERVES), NEVER);
    const file = join(dir, 'stranger.json');
    await writeFile(file, JSON.stringify({ pid: stranger.pid, identity: 'an earlier process' }));
    expect(await endRecordedProcess(file, 'SIGTERM')).toBe(false);
    expect(await processIdentity(stranger.pid)).toBeDefined();
  });

  it.each(['', 'null', '{"pid":1,"identity":"x"}', '{"pid":"9"}'])(
    'that says %j is no record',
    async (text) => {
      const file = join(dir, 'odd.json');
      await writeFile(file, text);
      expect(await endRecordedProcess(file, 'SIGTERM')).toBe(false);
    },
  );
});
