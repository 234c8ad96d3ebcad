import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { takeInterruption } from '../local/interruption.ts';
import { backingAddresses, serviceEnvironment } from '../local/local-environment.ts';
import { localPorts, PORTS_FROM_BASE } from '../local/local-ports.ts';
import { type Local, startLocal } from '../local/start-local.ts';
import { terminalMessage } from '../local/terminal-message.ts';

const STATE = fileURLToPath(new URL('../../../.hotloop', import.meta.url));

const say = (line: string) => process.stderr.write(`hotloop: ${line}\n`);

async function main(): Promise<number> {
  const program = new Command('hotloop up')
    .description('Run Hotloop on this machine until Ctrl-C; what it learns stays in .hotloop/data.')
    .option('--single', 'all four services in one process', false)
    .option('--port-base <port>', 'listen on the ports from this one on instead of the usual ones', parsePort)
    .parse();
  const { single, portBase } = program.opts<{ single: boolean; portBase?: number }>();
  using interruption = takeInterruption({
    first: () => say('stopping; Ctrl-C again to stop at once'),
    force: () => process.exit(130),
  });
  const { signal } = interruption;
  try {
    await using local = await startLocal(
      {
        dir: join(STATE, 'data'),
        cacheDir: join(STATE, 'cache'),
        fresh: false,
        single,
        ports: localPorts((port) => ({ exactly: port }), portBase),
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
    say(`logs are in ${local.logFolder}; Ctrl-C stops`);
    const ready = { ready: true, ...local.addresses, http: local.httpAddresses };
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

/** Every address that somebody may want, in words. */
function describeAddresses({ addresses, httpAddresses, backing }: Local): string[] {
  const rows: [string, string][] = [
    ['predictions', `${addresses.preprocessor} (gRPC), http://${httpAddresses.preprocessor} (REST)`],
    [
      'Open Inference Protocol',
      `${addresses.compute} (gRPC), http://${httpAddresses.compute} (REST and metrics)`,
    ],
    ['models, outcomes, runs', `${addresses.retrainer} (gRPC), http://${httpAddresses.retrainer} (control)`],
    ['decisions', `${addresses.postprocessor} (gRPC), http://${httpAddresses.postprocessor} (metrics)`],
    ['Kafka', `${backing.kafkaBrokers} (in memory unless KAFKA_BROKERS is set)`],
    ['Postgres', withoutPassword(backing.databaseUrl)],
    ['Redis', `${withoutPassword(backing.redisCacheUrl)}, ${withoutPassword(backing.redisQueueUrl)}`],
  ];
  return rows.map(([what, where]) => `${what.padEnd(24)}${where}`);
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
