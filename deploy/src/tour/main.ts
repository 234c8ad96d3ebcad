import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from '@hotloop/client';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { Command } from 'commander';
import { freePort } from '../backing/free-port.ts';
import { takeInterruption } from '../local/interruption.ts';
import { backingAddresses, serviceEnvironment } from '../local/local-environment.ts';
import { ANY_PORTS, startLocal } from '../local/start-local.ts';
import { terminalMessage } from '../local/terminal-message.ts';
import { openBusinessDatabase } from './business-database.ts';
import { runTour, type TourReport } from './run-tour.ts';
import { TourContext } from './tour-context.ts';
import { TOUR_STEPS } from './tour-steps.ts';

/** Complete examples of external trainers. */
const TRAINERS = fileURLToPath(new URL('../../engines/trainers', import.meta.url));
const CACHE = fileURLToPath(new URL('../../../.hotloop/cache', import.meta.url));

interface TourOptions {
  readonly json: boolean;
  readonly data?: string;
  readonly only?: readonly string[];
  readonly keep: boolean;
}

async function main(): Promise<number> {
  const program = new Command('npm run tour --')
    .description('One story through everything Hotloop does, on real parts, from an empty folder.')
    .option('--json', 'print the report alone', false)
    .option('--data <folder>', 'where public data sets are; steps that need them are skipped without')
    .option('--only <step...>', 'run these steps alone')
    .option('--keep', 'keep the folder of the tour', false)
    .parse();
  const options = program.opts<TourOptions>();
  const tell = (line: string) => {
    if (!options.json) process.stdout.write(`${line}\n`);
  };
  using interruption = takeInterruption({
    first: () => process.stderr.write('hotloop: stopping; Ctrl-C again to stop at once\n'),
    force: () => process.exit(130),
  });
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-tour-'));
  try {
    const report = await tour(folder, options, tell, interruption.signal);
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return report.ok ? 0 : 1;
  } catch (error) {
    if (interruption.signal.aborted) return 130;
    process.stderr.write(`hotloop: ${terminalMessage(error)}\n`);
    return 1;
  } finally {
    if (options.keep) process.stderr.write(`hotloop: kept ${folder}\n`);
    else await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function tour(
  folder: string,
  options: TourOptions,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<TourReport> {
  await using opened = new AsyncDisposableStack();
  const business = opened.use(await openBusinessDatabase());
  const local = opened.use(
    await startLocal(
      {
        dir: join(folder, 'platform'),
        cacheDir: CACHE,
        fresh: true,
        single: false,
        console: true,
        ports: ANY_PORTS,
        sqlListen: `127.0.0.1:${await freePort()}`,
        addresses: backingAddresses(process.env),
        environment: {
          HOTLOOP_TRAINERS: TRAINERS,
          HOTLOOP_TRAINERS_PATH: process.env.PATH ?? '',
          ...serviceEnvironment(process.env),
          BOOKINGS_URL: business.url,
        },
        say: tell,
      },
      signal,
    ),
  );
  business.forwardTo(local.backing.databaseUrl);
  const client = opened.use(
    await connect({ address: local.addresses.preprocessor, retrainerAddress: local.addresses.retrainer }),
  );
  const log = silentLog();
  const brokers = local.backing.kafkaBrokers.split(',');
  const producer = opened.use(await openProducer({ brokers, clientId: 'hotloop-tour', log }));
  const pool = opened.use(
    openPool(local.backing.databaseUrl, { max: 2, queryTimeoutMs: 20_000, application: 'hotloop-tour', log }),
  );
  const context = new TourContext({
    folder,
    cacheFolder: CACHE,
    dataFolder: options.data,
    path: process.env.PATH ?? '',
    local,
    client,
    producer,
    pool,
    business,
    signal,
  });
  const steps = TOUR_STEPS.filter(({ name }) => options.only?.includes(name) ?? true);
  return await runTour(steps, context, tell);
}

process.exitCode = await main();
