import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '@hotloop/deploy/backing/free-port.ts';
import { type Figure, figure } from '../figure.ts';
import type { Drill } from './drill.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const START_MS = 180_000;

/**
 * Packs `hotloop`, installs the tarball in an empty folder, and starts the platform there with `npx hotloop up`, with
 * the `node` on the PATH. Figures: `package_started` (1: all services answer), `package_start_s`, `package_mb`.
 */
export const drillPackage: Drill = async ({ say, environment }): Promise<Figure[]> => {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-package-'));
  try {
    say('packing');
    const main = join(ROOT, 'deploy', 'src', 'packages', 'main.ts');
    const { stdout } = await run(process.execPath, [main, 'platform', '--out', folder]);
    const tarball = stdout.trim().split('\n').at(-1) ?? '';
    const app = await mkdtemp(join(folder, 'app-'));
    await writeFile(join(app, 'package.json'), '{}');
    say('installing');
    // As outside the project: without its node_modules/.bin, and without npm's variables of this process.
    const path = (environment.PATH ?? '').split(':').filter((part) => !part.startsWith(ROOT));
    const env = { PATH: path.join(':'), HOME: environment.HOME ?? folder };
    const install = ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball];
    await run('npm', install, { cwd: app, env });
    const { stdout: size } = await run('du', ['-sm', join(app, 'node_modules')]);
    say('starting');
    const began = performance.now();
    const port = await portRange();
    const child = spawn('npx', ['hotloop', 'up', '--port-base', String(port)], {
      cwd: app,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
      // Its own process group: npx does not forward signals, so the whole group gets Ctrl-C, as at a terminal.
      detached: true,
    });
    // Programs that npx started also keep its output open until they have ended.
    const exited = once(child, 'close');
    try {
      const ready = await firstLine(child.stdout, exited);
      const seconds = (performance.now() - began) / 1000;
      const { http } = JSON.parse(ready) as { http: Record<string, string> };
      const answers = await Promise.all(
        Object.values(http).map(async (address) => (await fetch(`http://${address}/metrics`)).ok),
      );
      return [
        figure('package_started', [answers.every(Boolean) ? 1 : 0], { atLeast: 1 }),
        figure('package_start_s', [seconds]),
        figure('package_mb', [Number.parseInt(size, 10)]),
      ];
    } finally {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGINT');
      await exited;
    }
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
};

/** A base port whose following ports are probably free, because they are above the range of ephemeral ports. */
async function portRange(): Promise<number> {
  const free = await freePort();
  return free > 60_000 ? free - 30_000 : free;
}

async function firstLine(output: NodeJS.ReadableStream, exited: Promise<unknown>): Promise<string> {
  const line = once(createInterface({ input: output }), 'line').then(([text]) => String(text));
  const ended = exited.then(() => Promise.reject(new Error('`npx hotloop up` ended before it was ready')));
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('`npx hotloop up` was not ready in time')), START_MS);
  try {
    return await Promise.race([line, ended, late]);
  } finally {
    clearTimeout(timer);
  }
}
