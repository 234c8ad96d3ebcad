import { join } from 'node:path';
import { BackingServiceError } from './backing-service-error.ts';
import { fetchDebianPackages } from './debian-packages.ts';
import { runCommand } from './run-command.ts';

const PROBE_TIMEOUT_MS = 10_000;
/** BullMQ needs 6.2; Valkey started at 7.2. */
const REDIS_MINIMUM = [6, 2] as const;

/** How to start a program: its path and its complete environment. */
export interface SystemProgram {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
}

export type SystemProgramKind = 'redis' | 'kcat';

export interface SystemProgramsOptions {
  readonly needed: readonly SystemProgramKind[];
  /** Packages are unpacked only here: the system is not changed. */
  readonly cacheDir: string;
  readonly log: (line: string) => void;
}

interface ProgramKind {
  /** Names to look for, in order of preference. */
  readonly names: readonly string[];
  readonly debianPackage: string;
  readonly versionArgument: string;
  /** Whether its version output is acceptable. */
  accepts(version: string): boolean;
}

const KINDS: Record<SystemProgramKind, ProgramKind> = {
  redis: {
    names: ['redis-server', 'valkey-server'],
    debianPackage: 'redis-server',
    versionArgument: '--version',
    accepts(version) {
      const found = /v=(\d+)\.(\d+)/.exec(version);
      const [major, minor] = [Number(found?.[1]), Number(found?.[2])];
      return major > REDIS_MINIMUM[0] || (major === REDIS_MINIMUM[0] && minor >= REDIS_MINIMUM[1]);
    },
  },
  kcat: {
    names: ['kcat', 'kafkacat'],
    debianPackage: 'kcat',
    versionArgument: '-V',
    accepts: (version) => /Version 1\.[6-9]|Version [2-9]/.test(version),
  },
};

/**
 * Finds the programs that npm cannot install: on the PATH first, else in the cache, else from Debian's or Ubuntu's
 * packages, unpacked into the cache without root. Throws MISSING_PROGRAM with the command to type when none works.
 */
export async function systemPrograms(
  options: SystemProgramsOptions,
  signal: AbortSignal,
): Promise<Partial<Record<SystemProgramKind, SystemProgram>>> {
  const found: Partial<Record<SystemProgramKind, SystemProgram>> = {};
  for (const kind of options.needed) {
    const program = await findOnPath(KINDS[kind], signal);
    if (program !== undefined) found[kind] = program;
  }
  const missing = options.needed.filter((kind) => found[kind] === undefined);
  if (missing.length === 0) return found;

  const packages = missing.map((kind) => KINDS[kind].debianPackage);
  const tree = await unpacked(missing, packages, options, signal);
  for (const kind of missing) {
    const program = await findInTree(KINDS[kind], tree.root, tree.libraries, signal);
    if (program === undefined) throw missingProgram(missing, 'the unpacked package does not run');
    found[kind] = program;
  }
  return found;
}

async function unpacked(
  missing: readonly SystemProgramKind[],
  packages: readonly string[],
  options: SystemProgramsOptions,
  signal: AbortSignal,
): Promise<{ root: string; libraries: string }> {
  try {
    return await fetchDebianPackages(
      {
        packages,
        cacheDir: join(options.cacheDir, 'system'),
        log: options.log,
        works: async (root, libraries) => {
          const programs = await Promise.all(
            missing.map((kind) => findInTree(KINDS[kind], root, libraries, signal)),
          );
          return programs.every((program) => program !== undefined);
        },
      },
      signal,
    );
  } catch (cause) {
    signal.throwIfAborted();
    throw missingProgram(missing, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

async function findOnPath(kind: ProgramKind, signal: AbortSignal): Promise<SystemProgram | undefined> {
  for (const name of kind.names) {
    const found = await runCommand(
      '/bin/sh',
      ['-c', 'command -v "$1"', 'sh', name],
      { timeoutMs: PROBE_TIMEOUT_MS },
      signal,
    );
    const command = found.stdout.trim();
    if (found.code !== 0 || !command.startsWith('/')) continue;
    const program = { command, env: environment() };
    if (await works(kind, program, signal)) return program;
  }
  return undefined;
}

async function findInTree(
  kind: ProgramKind,
  root: string,
  libraries: string,
  signal: AbortSignal,
): Promise<SystemProgram | undefined> {
  for (const name of kind.names) {
    const program = {
      command: join(root, 'usr', 'bin', name),
      env: { ...environment(), LD_LIBRARY_PATH: libraries },
    };
    if (await works(kind, program, signal)) return program;
  }
  return undefined;
}

async function works(kind: ProgramKind, program: SystemProgram, signal: AbortSignal): Promise<boolean> {
  const options = { env: program.env, timeoutMs: PROBE_TIMEOUT_MS };
  const { code, stdout, stderr } = await runCommand(program.command, [kind.versionArgument], options, signal);
  return code === 0 && kind.accepts(`${stdout}${stderr}`);
}

function environment(): Record<string, string> {
  return { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' };
}

function missingProgram(
  missing: readonly SystemProgramKind[],
  why: string,
  cause?: unknown,
): BackingServiceError {
  const names = missing.map((kind) => KINDS[kind].debianPackage);
  const command =
    process.platform === 'darwin'
      ? `brew install ${missing.map((kind) => (kind === 'redis' ? 'redis' : 'kcat')).join(' ')}`
      : `sudo apt-get install ${names.join(' ')} (Debian, Ubuntu) or sudo dnf install ${missing.map((kind) => (kind === 'redis' ? 'valkey' : 'kcat')).join(' ')} (Fedora)`;
  const summary = why.split('\n')[0] ?? '';
  return new BackingServiceError(
    'MISSING_PROGRAM',
    `Missing: ${names.join(', ')} (${summary}). Type: ${command}`,
    { cause },
  );
}
