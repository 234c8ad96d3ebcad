import { deviceEnvironment } from '@hotloop/compute/runner/device-environment.ts';
import { Command, InvalidArgumentError } from 'commander';
import type { Bench, BenchOptions } from './bench.ts';
import { batchBench, sparkBench } from './benches/batch.ts';
import { batchingBench } from './benches/batching.ts';
import { echoBench } from './benches/echo.ts';
import { featuresBench } from './benches/features.ts';
import { feedbackBench } from './benches/feedback.ts';
import { inferBench } from './benches/infer.ts';
import { ingestBench } from './benches/ingest.ts';
import { logBench } from './benches/log.ts';
import { memoryBench } from './benches/memory.ts';
import { monitoringBench } from './benches/monitoring.ts';
import { peersBench } from './benches/peers.ts';
import { predictBench } from './benches/predict.ts';
import { processesBench } from './benches/processes.ts';
import { providersBench } from './benches/providers.ts';
import { runtimeBench } from './benches/runtime.ts';
import { serverlessBench } from './benches/serverless.ts';
import { sqlBench } from './benches/sql.ts';
import { swapBench } from './benches/swap.ts';
import { tlsBench } from './benches/tls.ts';
import { trainBench } from './benches/train.ts';
import { usersBench } from './benches/users.ts';
import type { Figure } from './figure.ts';
import { report, table } from './report.ts';

const BENCHES: Readonly<Record<string, Bench>> = {
  echo: echoBench,
  runtime: runtimeBench,
  infer: inferBench,
  predict: predictBench,
  batch: batchBench,
  spark: sparkBench,
  sql: sqlBench,
  serverless: serverlessBench,
  monitoring: monitoringBench,
  batching: batchingBench,
  log: logBench,
  memory: memoryBench,
  peers: peersBench,
  processes: processesBench,
  swap: swapBench,
  tls: tlsBench,
  providers: providersBench,
  features: featuresBench,
  ingest: ingestBench,
  users: usersBench,
  train: trainBench,
  feedback: feedbackBench,
};

const NAMES = [...Object.keys(BENCHES), 'all'].join(', ');

interface Flags extends Omit<BenchOptions, 'say' | 'devices'> {
  readonly json?: boolean;
}

const say = (line: string) => console.error(`bench: ${line}`);

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('must be a number above 0');
  return value;
}

const program = new Command('npm run bench --')
  .description('Ratios measured side by side in one run; medians of interleaved rounds, with their spread')
  .argument('<name>', `one of ${NAMES}`)
  .option('--json', 'print the report as JSON on the last line')
  .option('--rounds <n>', 'interleaved rounds', positive, 5)
  .option('--seconds <s>', 'length of a turn', positive, 3)
  .option('--swaps <n>', 'swap: number of swaps', positive, 200)
  .option('--minutes <m>', 'swap: over how many minutes', positive, 10)
  .option('--lag-seconds <s>', 'log: seconds over which the lag of the log is measured', positive, 300)
  .option('--predictions <n>', 'feedback: predictions in the larger loop', positive, 1_000_000)
  .option('--users <n>', 'users: number of users in the history', positive, 10_000_000)
  .option('--data <folder>', 'features: the folder of banking77, for documents_accuracy')
  .option('--rows <n>', 'batch, sql, spark, train: number of rows', positive)
  .option(
    '--only <part>',
    'one part: train has steps, serving, dataset, memory; monitoring has agreement, sketches, cost',
  )
  .option('--profile <folder>', 'write a CPU profile of each measured process to this folder')
  .action(async (name: string, { json, ...options }: Flags) => {
    const names =
      name === 'all'
        ? Object.keys(BENCHES).filter((each) => !['spark', 'sql', 'serverless', 'users'].includes(each))
        : [name];
    const devices = deviceEnvironment(process.env);
    const figures: Figure[] = [];
    for (const one of names) {
      const bench = Object.hasOwn(BENCHES, one) ? BENCHES[one] : undefined;
      if (!bench) return program.error(`no benchmark is named ${one}; there are ${NAMES}`);
      if (names.length > 1) say(one);
      figures.push(...(await bench({ ...options, devices, say })));
    }
    const result = report(name, figures);
    console.error(table(result));
    if (json) console.log(JSON.stringify(result));
  });

// On Ctrl-C, end the started processes together with this one, and remove the folders.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
try {
  await program.parseAsync();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
