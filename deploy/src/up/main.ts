import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { takeInterruption } from '../local/interruption.ts';
import { backingAddresses, serviceEnvironment } from '../local/local-environment.ts';
import { localPorts, PORTS_FROM_BASE } from '../local/local-ports.ts';
import { type Local, startLocal } from '../local/start-local.ts';
import { terminalMessage } from '../local/terminal-message.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

const say = (line: string) => process.stderr.write(`hotloop: ${line}\n`);

interface UpFlags {
  readonly single: boolean;
  readonly portBase?: number;
  readonly listen: string;
  readonly dir?: string;
  readonly archive?: string;
}

/**
 * A checkout keeps its state in its own .hotloop, a package in the folder where the command is run. Unpacked system
 * programs are shared: they are in the checkout or, for a package, in the user's cache.
 */
function stateFolders(dir: string | undefined): { readonly data: string; readonly cache: string } {
  const isCheckout = existsSync(join(ROOT, 'scripts', 'bootstrap.mjs'));
  const state = resolve(dir ?? (isCheckout ? join(ROOT, '.hotloop') : '.hotloop'));
  const cache = isCheckout
    ? join(ROOT, '.hotloop', 'cache')
    : join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'hotloop');
  return { data: join(state, 'data'), cache };
}

async function main(): Promise<number> {
  const program = new Command('hotloop up')
    .description('Run Hotloop on this machine until Ctrl-C; what it learns stays in the folder of --dir.')
    .option('--single', 'all four services in one process', false)
    .option('--port-base <port>', 'listen on the ports from this one on instead of the usual ones', parsePort)
    .option(
      '--listen <host>',
      'where clients reach it; other than 127.0.0.1 needs HOTLOOP_API_KEYS',
      '127.0.0.1',
    )
    .option('--dir <folder>', 'where everything is kept (default: .hotloop)')
    .option(
      '--archive <folder>',
      'keep there what `hotloop restore FOLDER --at TIME` needs, for a week (default: nowhere)',
    )
    .parse();
  const { single, portBase, listen, dir, archive } = program.opts<UpFlags>();
  const folders = stateFolders(dir);
  using interruption = takeInterruption({
    first: () => say('stopping; Ctrl-C again to stop at once'),
    force: () => process.exit(130),
  });
  const { signal } = interruption;
  try {
    await using local = await startLocal(
      {
        dir: folders.data,
        cacheDir: folders.cache,
        fresh: false,
        console: true,
        single,
        ports: localPorts((port) => ({ exactly: port }), portBase),
        host: listen,
        archive: archive === undefined ? undefined : resolve(archive),
        sqlListen: sqlAddress(process.env.HOTLOOP_SQL_LISTEN, portBase),
        addresses: backingAddresses(process.env),
        environment: serviceEnvironment(process.env),
        say,
        onEvent: (event) =>
          say(
            event.kind === 'crashed'
              ? `${event.service} ended by itself (${event.how}); starting it again in ${event.retryInMs / 1000} s`
              : `${event.service} is back`,
          ),
      },
      signal,
    );
    for (const line of describeAddresses(local)) say(line);
    if (portBase !== undefined) say(`commands in another terminal need: ${exportAddresses(local)}`);
    say(`logs are in ${local.logFolder}; Ctrl-C stops`);
    const { sqlAddress: sql } = local;
    const ready = { ready: true, ...local.addresses, http: local.httpAddresses, ...(sql ? { sql } : {}) };
    process.stdout.write(`${JSON.stringify(ready)}\n`);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    return 0;
  } catch (error) {
    if (signal.aborted) return 130;
    say(terminalMessage(error));
    return 1;
  }
}

/** Address for SQL: from the environment, or after the other ports. */
function sqlAddress(wanted: string | undefined, portBase: number | undefined): string {
  return wanted ?? `127.0.0.1:${portBase === undefined ? 7405 : portBase + PORTS_FROM_BASE}`;
}

/** Every address that a user may need, with a description. */
function describeAddresses({ addresses, httpAddresses, sqlAddress, backing }: Local): string[] {
  const rows: [string, string][] = [
    ['console', `http://${httpAddresses.retrainer}/`],
    ['predictions', `${addresses.preprocessor} (gRPC), http://${httpAddresses.preprocessor} (REST)`],
    [
      'Open Inference Protocol',
      `${addresses.compute} (gRPC), http://${httpAddresses.compute} (REST and metrics)`,
    ],
    ['models, outcomes, runs', `${addresses.retrainer} (gRPC), http://${httpAddresses.retrainer} (control)`],
    ['decisions', `${addresses.postprocessor} (gRPC), http://${httpAddresses.postprocessor} (metrics)`],
    ...(sqlAddress === undefined
      ? []
      : [['SQL', `postgres://hotloop@${sqlAddress}/hotloop`] satisfies [string, string]]),
    ['Kafka', `${backing.kafkaBrokers} (in memory unless KAFKA_BROKERS is set)`],
    ['Postgres', withoutPassword(backing.databaseUrl)],
    ['Redis', `${withoutPassword(backing.redisCacheUrl)}, ${withoutPassword(backing.redisQueueUrl)}`],
  ];
  return rows.map(([what, where]) => `${what.padEnd(24)}${where}`);
}

/** Commands find Hotloop by themselves only at the usual ports. */
function exportAddresses({ addresses, httpAddresses }: Local): string {
  const variables = {
    HOTLOOP_PREPROCESSOR: addresses.preprocessor,
    HOTLOOP_RETRAINER: addresses.retrainer,
    HOTLOOP_CONTROL: `http://${httpAddresses.retrainer}`,
    HOTLOOP_FRONT_DOOR: `http://${httpAddresses.preprocessor}`,
  };
  const assignments = Object.entries(variables).map(([name, address]) => `${name}=${address}`);
  return `export ${assignments.join(' ')}`;
}

function withoutPassword(url: string): string {
  const parsed = new URL(url);
  parsed.password = '';
  return parsed.href;
}

function parsePort(text: string): number {
  const port = Number(text);
  const last = 65_536 - PORTS_FROM_BASE;
  if (!Number.isInteger(port) || port < 1 || port > last)
    throw new InvalidArgumentError(`must be a port from 1 to ${last}`);
  return port;
}

process.exitCode = await main();
