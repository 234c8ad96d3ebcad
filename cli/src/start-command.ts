import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { UpOptions } from './command-context.ts';
import { CommandError, commandFailure } from './command-error.ts';
import { chosenContext, readConfigFile } from './config-file.ts';
import { runCommandLine } from './run-command-line.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Runs the command line of this process and resolves with its exit code. */
export async function startCommand(args: readonly string[], environment: Environment): Promise<number> {
  const interrupted = new AbortController();
  process.on('SIGINT', () => interrupted.abort());
  for (const stream of [process.stdout, process.stderr]) stream.on('error', endOfOutput);
  const configPath = configFile(environment);
  try {
    const context = chosenContext(
      await readConfigFile(configPath),
      namedContext(args, environment),
      configPath,
    );
    return await runCommandLine(
      args,
      {
        terminal: { out: process.stdout, err: process.stderr },
        signal: interrupted.signal,
        readFile: readNamedFile,
        up,
        environment,
        configPath,
        version: ownVersion(),
      },
      { ...context, ...fromEnvironment(environment) },
    );
  } catch (error) {
    const failure = commandFailure(error);
    process.stderr.write(`hotloop: ${failure.message}\n`);
    return failure.exitCode;
  }
}

/** A reader that has gone (`| head`) is no failure; a disk that is full is one, in one line. */
function endOfOutput(error: NodeJS.ErrnoException): never {
  if (error.code === 'EPIPE') process.exit(0);
  try {
    process.stderr.write(`hotloop: the output could not be written: ${error.code ?? error.message}\n`);
  } catch {
    // There is nowhere to say it.
  }
  process.exit(1);
}

function configFile({ HOTLOOP_CONFIG, XDG_CONFIG_HOME, HOME }: Environment): string {
  return (
    HOTLOOP_CONFIG ?? join(XDG_CONFIG_HOME ?? join(HOME ?? homedir(), '.config'), 'hotloop', 'config.yaml')
  );
}

/** `config` itself must work when the context that is chosen does not exist. */
function namedContext(args: readonly string[], { HOTLOOP_CONTEXT }: Environment): string | undefined {
  const at = args.findIndex((word) => word === '--context' || word.startsWith('--context='));
  const word = args[at] ?? '';
  return at === -1 ? HOTLOOP_CONTEXT : word.includes('=') ? word.slice('--context='.length) : args[at + 1];
}

function fromEnvironment(environment: Environment) {
  const { HOTLOOP_PREPROCESSOR, HOTLOOP_RETRAINER, HOTLOOP_CONTROL, HOTLOOP_FRONT_DOOR, HOTLOOP_API_KEY } =
    environment;
  const { HOTLOOP_TLS_CA, HOTLOOP_TLS_CERT, HOTLOOP_TLS_KEY } = environment;
  return {
    ...(HOTLOOP_PREPROCESSOR ? { address: HOTLOOP_PREPROCESSOR } : {}),
    ...(HOTLOOP_RETRAINER ? { retrainer: HOTLOOP_RETRAINER } : {}),
    ...(HOTLOOP_CONTROL ? { control: HOTLOOP_CONTROL } : {}),
    ...(HOTLOOP_FRONT_DOOR ? { frontDoor: HOTLOOP_FRONT_DOOR } : {}),
    ...(HOTLOOP_API_KEY ? { apiKey: HOTLOOP_API_KEY } : {}),
    ...(HOTLOOP_TLS_CA ? { tlsCa: HOTLOOP_TLS_CA } : {}),
    ...(HOTLOOP_TLS_CERT ? { tlsCert: HOTLOOP_TLS_CERT } : {}),
    ...(HOTLOOP_TLS_KEY ? { tlsKey: HOTLOOP_TLS_KEY } : {}),
  };
}

function ownVersion(): string {
  try {
    const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
    return (JSON.parse(text) as { version: string }).version;
  } catch {
    return 'unknown';
  }
}

async function readNamedFile(path: string): Promise<Buffer> {
  try {
    return path === '-' ? await buffer(process.stdin) : await readFile(path);
  } catch (error) {
    const why =
      error instanceof Error && 'code' in error && error.code === 'ENOENT'
        ? 'is not there'
        : 'cannot be read';
    throw new CommandError(`${path} ${why}`, { cause: error });
  }
}

/** `up` belongs to the project's checkout: the platform itself is no part of the published package. */
async function up({ single, portBase, listen, dir, archive }: UpOptions): Promise<number> {
  const script = fileURLToPath(new URL('../../deploy/src/up/main.ts', import.meta.url));
  if (!existsSync(script))
    throw new CommandError(
      '`hotloop up` runs from a checkout of the project; with the package alone, use --address',
    );
  return runScript(script, [
    ...(single ? ['--single'] : []),
    ...(portBase ? ['--port-base', portBase] : []),
    ...(listen ? ['--listen', listen] : []),
    ...(dir ? ['--dir', dir] : []),
    ...(archive ? ['--archive', archive] : []),
  ]);
}

async function runScript(script: string, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [script, ...args], { stdio: 'inherit' });
  // The terminal's Ctrl-C reaches the child by itself, and twice in a moment is once to it; one sent here alone is handed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return await new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
}
