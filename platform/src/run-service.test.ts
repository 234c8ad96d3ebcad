import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';

const FILES = ['./run-service.ts', '../../proto/src/errors.ts'].map(
  (file) => new URL(file, import.meta.url).href,
);

function run(main: string) {
  const program = `
    const { runService } = await import(${JSON.stringify(FILES[0])});
    const { HotloopError } = await import(${JSON.stringify(FILES[1])});
    runService('thing', async (stopping) => { ${main} });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = text(child.stderr);
  return { child, exited: once(child, 'close'), printed };
}

describe('the process of a service', () => {
  it('exits with 0 after the first of many signals, once it has drained', async () => {
    const { child, exited, printed } = run(`
      const alive = setInterval(() => undefined, 1000);
      process.stdout.write('ready');
      await stopping;
      clearInterval(alive);`);
    await once(child.stdout, 'data');
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGTERM'] as const) child.kill(signal);
    expect(await exited).toEqual([0, null]);
    expect(await printed).toBe('');
  });

  it('exits with 1 and one line when it refuses to start', async () => {
    const { exited, printed } = run(`throw new HotloopError('INVALID_ARGUMENT', 'X is not set');`);
    expect(await exited).toEqual([1, null]);
    expect(await printed).toBe('thing: X is not set\n');
  });

  it('logs an unexpected error, because its line must not contain it', async () => {
    const { exited, printed } = run(`throw new TypeError('of undefined');`);
    expect(await exited).toEqual([1, null]);
    const [logged, line] = (await printed).split('\n');
    expect(JSON.parse(logged ?? '')).toMatchObject({ service: 'thing', error: { message: 'of undefined' } });
    expect(line).toMatch(/^thing: internal error/);
  });
});
