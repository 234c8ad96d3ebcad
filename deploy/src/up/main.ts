import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { takeInterruption } from '../local/interruption.ts';
import { backingAddresses, serviceEnvironment } from '../local/local-environment.ts';
import { startLocal } from '../local/start-local.ts';
import { terminalMessage } from '../local/terminal-message.ts';

const STATE = fileURLToPath(new URL('../../../.hotloop', import.meta.url));

const say = (line: string) => process.stderr.write(`hotloop: ${line}\n`);

async function main(): Promise<number> {
  const program = new Command('hotloop up')
    .description('Run Hotloop on this machine until Ctrl-C; what it learns stays in .hotloop/data.')
    .option('--single', 'all four services in one process', false)
    .parse();
  const { single } = program.opts<{ single: boolean }>();
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
        ports: {
          preprocessor: { exactly: 7400 },
          compute: { exactly: 8001 },
          computeHttp: { exactly: 8000 },
          postprocessor: { exactly: 7402 },
          retrainer: { exactly: 7403 },
        },
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
    const { preprocessor, compute, postprocessor, retrainer } = local.addresses;
    say(`predictions ${preprocessor}, Open Inference Protocol ${compute}`);
    say(`decisions ${postprocessor}, models, outcomes and runs ${retrainer}`);
    say(`logs are in ${local.logFolder}; Ctrl-C stops`);
    process.stdout.write(`${JSON.stringify({ ready: true, ...local.addresses })}\n`);
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

process.exitCode = await main();
