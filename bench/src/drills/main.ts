import { Command, InvalidArgumentError } from 'commander';
import { report, table } from '../report.ts';
import type { Drill, DrillOptions } from './drill.ts';
import { drillBackup } from './drill-backup.ts';
import { drillBatch } from './drill-batch.ts';
import { drillChart } from './drill-chart.ts';
import { drillCluster } from './drill-cluster.ts';
import { drillConsole } from './drill-console.ts';
import { drillDocuments } from './drill-documents.ts';
import { drillEngines } from './drill-engines.ts';
import { drillFreshness } from './drill-freshness.ts';
import { drillHistory } from './drill-history.ts';
import { drillImages } from './drill-images.ts';
import { drillLearning } from './drill-learning.ts';
import { drillLog } from './drill-log.ts';
import { drillMany } from './drill-many.ts';
import { drillMonitoring } from './drill-monitoring.ts';
import { drillMonths } from './drill-months.ts';
import { drillMovies } from './drill-movies.ts';
import { drillNewcomer } from './drill-newcomer.ts';
import { drillOutage } from './drill-outage.ts';
import { drillOverload } from './drill-overload.ts';
import { drillPackage } from './drill-package.ts';
import { drillParity } from './drill-parity.ts';
import { drillPromote } from './drill-promote.ts';
import { drillRollout } from './drill-rollout.ts';
import { drillSoak } from './drill-soak.ts';
import { drillStores } from './drill-stores.ts';
import { drillUpgrade } from './drill-upgrade.ts';
import { drillFailures } from './failures/drill-failures.ts';
import { drillHostile } from './hostile/drill-hostile.ts';

const DRILLS: Readonly<Record<string, Drill>> = {
  backup: drillBackup,
  batch: drillBatch,
  engines: drillEngines,
  failures: drillFailures,
  cluster: drillCluster,
  chart: drillChart,
  console: drillConsole,
  package: drillPackage,
  images: drillImages,
  learning: drillLearning,
  log: drillLog,
  many: drillMany,
  monitoring: drillMonitoring,
  months: drillMonths,
  documents: drillDocuments,
  history: drillHistory,
  hostile: drillHostile,
  freshness: drillFreshness,
  overload: drillOverload,
  movies: drillMovies,
  parity: drillParity,
  newcomer: drillNewcomer,
  outage: drillOutage,
  promote: drillPromote,
  rollout: drillRollout,
  soak: drillSoak,
  stores: drillStores,
  upgrade: drillUpgrade,
};

interface Flags extends Omit<DrillOptions, 'say' | 'environment'> {
  readonly json?: boolean;
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('must be a whole number');
  return value;
}

const say = (line: string) => console.error(`drill: ${line}`);

const program = new Command('npm run drill --')
  .description('Breaks things on purpose and counts what must not happen')
  .argument('<name>', `one of ${Object.keys(DRILLS).join(', ')}`)
  .option('--json', 'print the report as JSON on the last line')
  .option(
    '--predictions <n>',
    'log: how many answered predictions; parity: at most 100,000; engines: at most 10,000',
    count,
    1_000_000,
  )
  .option('--rows <n>', 'batch: rows', count, 10_000_000)
  .option('--rate <n>', 'log, cluster, upgrade, soak: predictions a second at most', count, 5_000)
  .option('--kills <n>', 'log, batch, history: number of kills', count, 20)
  .option('--outage <s>', 'log, failures: seconds for which a store is unavailable', count, 60)
  .option('--models <n>', 'many: number of models', count, 50)
  .option('--megabytes <n>', 'many: size of a model', count, 200)
  .option('--budget <n>', 'many: memory budget of all runners together in MB', count, 4_096)
  .option('--seconds <s>', 'many, backup: duration of the load', count, 120)
  .option(
    '--points <n>',
    'promote, rollout: number of points at which a process is killed; rollout at most 12',
    count,
    40,
  )
  .option('--weeks <n>', 'monitoring: simulated weeks without a change', count, 1_000)
  .option('--down <s>', 'monitoring: seconds for which the alarm receiver is unavailable', count, 600)
  .option('--parts <names>', 'rollout: some of canary, ledger, rollback, crash, bad_model, shadow, restart')
  .option(
    '--only <ids>',
    'failures: rows of the matrix, such as 1,5,9-12; stores: names of trials; hostile: interfaces; learning: one part; chart: server',
  )
  .option('--hours <h>', 'soak: duration', Number, 0.3)
  .option('--from <commit>', 'upgrade: the state to upgrade from')
  .option(
    '--pictures <folder>',
    'months: writes its charts there; newcomer: takes the pictures of the walk again',
  )
  .option('--data <folder>', 'documents, learning, months, monitoring, movies: where the data are')
  .action(async (name: string, flags: Flags) => {
    const drill = Object.hasOwn(DRILLS, name) ? DRILLS[name] : undefined;
    if (!drill)
      return program.error(`no drill is named ${name}; there are ${Object.keys(DRILLS).join(', ')}`);
    const result = report(name, await drill({ ...flags, say, environment: process.env }));
    console.error(table(result));
    if (flags.json) console.log(JSON.stringify(result));
    if (result.figures.some((figure) => figure.met === false)) process.exitCode = 1;
  });

// On Ctrl-C, end the started processes together with this one, and remove the folders.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
try {
  await program.parseAsync();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
