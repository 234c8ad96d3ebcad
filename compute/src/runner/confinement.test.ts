import { spawn } from 'node:child_process';
import { chmod, cp, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { describe, expect, it, type TestContext } from 'vitest';
import { SMALL } from '../testing/model-bundles.ts';
import { Confinements } from './confinement.ts';
import { type Runner, startRunner } from './runner.ts';
import { tryOut } from './try-out.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const RUNNER = join(import.meta.dirname, 'runner.ts');
const OWNER = join(import.meta.dirname, '..', 'testing', 'own-a-runner.ts');
/**
 * Capabilities to kill, change users (setuid, setgid), administer the network and set priorities: what root has
 * unless a container has dropped them.
 */
const POWERS = [5n, 6n, 7n, 21n, 23n];
const NO_POWERS = '0000000000000000';
const ONLY_READING = '0000000000000004';
const SOMEONE = 61_001;
const AS_SOMEONE = ['setpriv', `--reuid=${SOMEONE}`, '--clear-groups', '--'];

describe.runIf(process.platform === 'linux')('a runner', () => {
  it('of root has its own user id, and no capabilities, network, secrets or core dumps', async (context) => {
    if (!(await isPowerful(context)) || !(await isReadableBySomeone(context))) return;
    await using one = await disposable(startSmall());
    await using other = await disposable(startSmall());
    const status = await statusOf(one.runner.pid);
    expect(status).toMatchObject({ CapEff: NO_POWERS, NoNewPrivs: '1', Groups: '' });
    expect(status.Uid).toMatch(/^(6\d{4})\t\1\t\1\t\1$/);
    expect(status.Gid).toBe(status.Uid);
    expect((await statusOf(other.runner.pid)).Uid).not.toBe(status.Uid);
    expect(await networkOf(one.runner.pid)).not.toBe(await networkOf(process.pid));
    const limits = await readFile(`/proc/${one.runner.pid}/limits`, 'utf8');
    expect(limits).toMatch(/^Max core file size +0 +0 /m);
    expect(limits).toMatch(/^Max open files +1024 +1024 /m);
    const environment = await readFile(`/proc/${one.runner.pid}/environ`, 'utf8');
    const names = environment.split('\0').map((line) => line.split('=')[0]);
    expect(names.filter((name) => name !== '' && name !== 'PWD').sort()).toEqual([
      'MALLOC_ARENA_MAX',
      'ORT_DISABLE_TELEMETRY',
    ]);
  });

  it('has low priority in all its threads until its first ping', async (context) => {
    if (!(await isPowerful(context))) return;
    await using one = await disposable(startSmall());
    const { pid } = one.runner;
    expect((await nicenessOf(pid)).length).toBeGreaterThan(2);
    expect(new Set(await nicenessOf(pid))).toEqual(new Set([10]));
    await one.runner.ping();
    expect(new Set(await nicenessOf(pid))).toEqual(new Set([0]));
  });

  it('may read all files, and nothing else, when its code is readable by root only', async (context) => {
    if (!(await isPowerful(context))) return;
    const folder = await mkdtemp(join(tmpdir(), 'hotloop-private-'));
    try {
      await chmod(folder, 0o700);
      await cp(import.meta.dirname, join(folder, 'runner'), { recursive: true });
      await writeFile(join(folder, 'package.json'), '{"type": "module"}');
      await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
      await using owner = await startOwner(join(folder, 'runner', 'runner.ts'));
      expect(owner.said).toMatchObject({
        level: 'warn',
        user: 'its own, reading all files',
        network: 'none',
      });
      const status = await statusOf(owner.runner);
      expect(status).toMatchObject({ CapEff: ONLY_READING, CapBnd: ONLY_READING, NoNewPrivs: '1' });
      expect(status.Uid).toMatch(/^6\d{4}\t/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('of another user keeps that user id and can gain no privileges', async (context) => {
    const isRoot = process.geteuid?.() === 0;
    if (isRoot && !(await isReadableBySomeone(context))) return;
    await using owner = await startOwner(RUNNER, isRoot ? SOMEONE : undefined);
    expect(owner.said).toMatchObject({ level: 'info', user: 'that of the service', endsWithService: true });
    const status = await statusOf(owner.runner);
    expect(status).toMatchObject({ CapEff: NO_POWERS, NoNewPrivs: '1' });
    if (isRoot) expect(status.Uid).toMatch(new RegExp(`^${SOMEONE}\t`));
    const isOffline = (await networkOf(owner.runner)) !== (await networkOf(owner.pid));
    expect(isOffline).toBe(owner.said.network === 'none');
  });

  it('is confined in a way that is determined and logged once for all runners that start together', async () => {
    const said: string[] = [];
    const say = (_fields: unknown, text?: string) => void said.push(String(text));
    const confinements = new Confinements({ ...silentLog(), info: say, warn: say });
    const cpu = { executionProviders: ['cpu'] } as const;
    const [one, other] = await Promise.all([confinements.for(cpu), confinements.for(cpu)]);
    expect(other).toBe(one);
    expect(await confinements.for({ executionProviders: ['cuda', 'cpu'] })).not.toBe(one);
    expect(said).toHaveLength(2);
  });

  it('is not confined where that cannot be tried out, and the log says so', async () => {
    const said: string[] = [];
    const warn = (_fields: unknown, text?: string) => void said.push(String(text));
    const { execPath } = process;
    process.execPath = '/no/such/program';
    try {
      const confinements = new Confinements({ ...silentLog(), warn });
      const confinement = await confinements.for({ executionProviders: ['cpu'] });
      expect(confinement.prefix()).toEqual([]);
    } finally {
      process.execPath = execPath;
    }
    expect(said).toEqual([expect.stringMatching(/^runners could not be confined/)]);
  });

  it('started by root never gets the user id of one of the thousands started before it', async (context) => {
    if (!(await isPowerful(context))) return;
    const confinement = await new Confinements(silentLog()).for({ executionProviders: ['cpu'] });
    const users = Array.from({ length: 4_000 }, () =>
      confinement.prefix().find((option) => option.startsWith('--reuid=')),
    );
    expect(new Set(users).size).toBe(4_000);
    for (const user of users) expect(user).toMatch(/^--reuid=6(1[1-9]|[2-4]\d|5[0-5])\d\d$/);
  });

  it('ends at once in the middle of a run when its service is killed', async () => {
    await using owner = await startOwner(RUNNER);
    const before = await ticksOf(owner.runner);
    await until(async () => (await ticksOf(owner.runner)) > before + 20, 'the run has begun');
    process.kill(owner.pid, 'SIGKILL');
    await until(() => hasEnded(owner.runner), 'the runner has ended');
  });
});

describe.runIf(process.platform === 'linux')('trying out a way to start a runner', () => {
  it('finds a way that works, and one that does not exist', async () => {
    expect(await tryOut([], [RUNNER])).toEqual({ mayRaisePriority: expect.any(Boolean) });
    expect(await tryOut(['no-such-program'], [RUNNER])).toBeUndefined();
    expect(await tryOut([], [`${RUNNER}.missing`])).toBeUndefined();
  });

  it('finds that code cannot be read', async (context) => {
    if (!(await isPowerful(context)) || !(await isReadableBySomeone(context))) return;
    const folder = await mkdtemp(join(tmpdir(), 'hotloop-private-'));
    try {
      const file = join(folder, 'code.ts');
      await writeFile(file, '');
      expect(await tryOut(AS_SOMEONE, [file])).toBeUndefined();
      await chmod(folder, 0o755);
      expect(await tryOut(AS_SOMEONE, [file])).toEqual({ mayRaisePriority: true });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

async function isPowerful(context: TestContext): Promise<boolean> {
  const held = BigInt(`0x${(await statusOf(process.pid)).CapEff}`);
  if (POWERS.every((power) => (held >> power) & 1n)) return true;
  notRun(context, 'it takes root');
  return false;
}

/** False for a clone in a folder that only root may enter. */
async function isReadableBySomeone(context: TestContext): Promise<boolean> {
  if (await tryOut(AS_SOMEONE, [OWNER])) return true;
  notRun(context, 'nobody else may read this folder');
  return false;
}

function notRun(context: TestContext, why: string): void {
  console.warn(`not run: ${why}`);
  context.skip();
}

function startSmall(): Promise<Runner> {
  const options = {
    executionProviders: ['cpu'],
    threads: 3,
    loadTimeoutMs: 20_000,
    memoryLimitBytes: 2 ** 32,
    confinements: new Confinements(silentLog()),
  } as const;
  return startRunner(perceptron(SMALL), options, silentLog(), new AbortController().signal);
}

async function disposable(starting: Promise<Runner>): Promise<AsyncDisposable & { readonly runner: Runner }> {
  const runner = await starting;
  return {
    runner,
    async [Symbol.asyncDispose]() {
      runner.kill();
      await runner.gone;
    },
  };
}

interface Owner extends AsyncDisposable {
  readonly pid: number;
  readonly runner: number;
  /** Logged facts about how runners are confined. */
  readonly said: Readonly<Record<string, unknown>>;
}

/** Starts a process that owns a runner, which has a long run in progress. */
async function startOwner(runnerFile: string, user?: number): Promise<Owner> {
  const as = user === undefined ? {} : { uid: user, gid: user };
  const child = spawn(process.execPath, [OWNER, runnerFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: '/',
    ...as,
  });
  const lines: Record<string, unknown>[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(JSON.parse(line));
    if ('runner' in (lines.at(-1) ?? {})) break;
  }
  const runner = Number(lines.at(-1)?.runner);
  expect(lines.length).toBe(2);
  return {
    pid: child.pid ?? 0,
    runner,
    said: lines[0] ?? {},
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await until(() => hasEnded(runner), 'the runner has ended');
    },
  };
}

async function statusOf(pid: number): Promise<Readonly<Record<string, string>>> {
  const lines = (await readFile(`/proc/${pid}/status`, 'utf8')).split('\n');
  return Object.fromEntries(lines.map((line) => line.split(/:\t?/, 2).map((part) => part.trim())));
}

/** The fields of the stat file of a process or thread, starting with the third, its state. */
async function fieldsOf(folder: string): Promise<readonly string[]> {
  const line = await readFile(`/proc/${folder}/stat`, 'utf8');
  return line.slice(line.lastIndexOf(')') + 2).split(' ');
}

async function nicenessOf(pid: number): Promise<readonly number[]> {
  const threads = await readdir(`/proc/${pid}/task`);
  const fields = await Promise.all(threads.map((thread) => fieldsOf(`${pid}/task/${thread}`)));
  return fields.map((of) => Number(of[16]));
}

/** CPU time that the process has used, in hundredths of a second. */
const ticksOf = async (pid: number): Promise<number> => Number((await fieldsOf(String(pid)))[11]);
const networkOf = (pid: number): Promise<string> => readlink(`/proc/${pid}/ns/net`);

/** Also true for a zombie: a process that has exited and was not waited for. */
async function hasEnded(pid: number): Promise<boolean> {
  const state = await fieldsOf(String(pid)).then(
    ([first]) => first,
    () => 'X',
  );
  return state === 'X' || state === 'Z';
}

async function until(isTrue: () => Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + 30_000;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error(`timed out waiting: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
